/** Where it is lost: the trie of answers with what each prefix costs, and the same by depth. */

import { attribute, type Attribution, type Unit } from "../heart/index.ts";
import { Chart, chartWidth, figure, NARROW } from "./chart.ts";
import { h, s } from "./dom.ts";
import type { State } from "./state.ts";
import { count, number, percent, prefix, token } from "./words.ts";

/** Prefixes drawn: those that lose most, and the way to them. */
const DRAWN = 60;

/** Prefixes listed. */
const LISTED = 12;

export function lost(state: State, unit: Unit): HTMLElement {
  const outcome = state.outcome(unit);
  const losses = attribute(unit.trie, outcome.edgeLogp);
  if (!losses)
    return h("article", {}, h("p", { class: "note" }, "No answer is ever valid under this rule."));
  return h(
    "article",
    {},
    tree(state, unit, losses),
    h("div", { class: "split" }, depths(unit, losses), leaks(state, unit)),
  );
}

/** What each node loses, order and shape together. */
function total(losses: Attribution, node: number): number {
  return losses.validityLost[node] + losses.diversityLost[node];
}

function tree(state: State, unit: Unit, losses: Attribution): HTMLElement {
  const { trie } = unit;
  const prefixes = Array.from(trie.parent.keys()).filter((node) => trie.isPrefix(node));
  const worst = prefixes
    .sort((a, b) => total(losses, b) - total(losses, a) || a - b)
    .slice(0, DRAWN);
  const drawn = new Set([0]);
  for (const node of worst) {
    if (total(losses, node) <= 1e-9) continue;
    for (const each of trie.path(node)) {
      if (drawn.size > 1.5 * DRAWN) break;
      drawn.add(each);
    }
  }
  const nodes = [...drawn].sort((a, b) => a - b);
  const children = new Map<number, number[]>();
  for (const node of nodes) {
    if (node > 0)
      children.set(trie.parent[node], [...(children.get(trie.parent[node]) ?? []), node]);
  }
  // Leaves of what is drawn one below the other; a prefix stands beside the middle of its children.
  const height = new Map<number, number>();
  let rows = 0;
  for (const node of nodes.slice().reverse()) {
    const below = children.get(node);
    height.set(
      node,
      below ? (height.get(below[0])! + height.get(below[below.length - 1])!) / 2 : rows++,
    );
  }
  const deepest = Math.max(...nodes.map((node) => trie.depth[node]), 1);
  const [step, gap] = [Math.min(NARROW.matches ? 90 : 190, 560 / deepest), 19];
  const x = (node: number) => 14 + trie.depth[node] * step;
  const y = (node: number) => 16 + (rows - 1 - height.get(node)!) * gap;
  const most = Math.max(...nodes.map((node) => total(losses, node)), 1e-12);
  const [width, high] = [14 + deepest * step + 150, rows * gap + 20];
  const svg = s(
    "svg",
    {
      viewBox: `0 0 ${width} ${high}`,
      width,
      height: high,
      role: "img",
      "aria-label": "The trie of answers: width by reach, colour and shape by what is lost",
      class: "chart tree",
    },
    nodes.slice(1).map((node) => {
      const from = trie.parent[node];
      const middle = (x(from) + x(node)) / 2;
      return s("path", {
        d: `M${x(from)},${y(from)}C${middle},${y(from)} ${middle},${y(node)} ${x(node)},${y(node)}`,
        class: "edge",
        "stroke-width": Math.max(10 * Math.sqrt(losses.reach[node]), 0.4),
      });
    }),
    nodes.map((node) => {
      const cost = total(losses, node);
      const size = 3 + 9 * Math.sqrt(cost / most);
      const isOrder = losses.validityLost[node] >= losses.diversityLost[node];
      const title =
        `${prefix(unit.prefixText(node))}: reached by ${percent(losses.reach[node])} of valid answers, ` +
        `loses ${number(losses.validityLost[node])} nats of validity and ` +
        `${number(losses.diversityLost[node])} of diversity`;
      const shape = isOrder
        ? s("circle", { cx: x(node), cy: y(node), r: size, class: "lost validity" })
        : s("rect", {
            x: x(node) - size,
            y: y(node) - size,
            width: 2 * size,
            height: 2 * size,
            class: "lost diversity",
          });
      const go = () => state.go(unit, node);
      return s(
        "g",
        {
          class: "node",
          tabindex: 0,
          role: "button",
          "aria-label": title,
          onclick: go,
          onkeydown: (event: KeyboardEvent) => {
            if (event.key === "Enter" || event.key === " ") {
              event.preventDefault();
              go();
            }
          },
        },
        s("title", {}, title),
        shape,
        node > 0 &&
          s(
            "text",
            { x: x(node) + size + 3, y: y(node) + 4, class: "node-label" },
            token(unit.tokenText(trie.token[node])).textContent,
          ),
      );
    }),
  );
  const hidden = prefixes.length - nodes.filter((node) => trie.isPrefix(node)).length;
  return figure(
    "where-it-is-lost",
    h(
      "span",
      { class: "legend" },
      h(
        "span",
        {},
        s(
          "svg",
          { viewBox: "-8 -8 16 16", class: "key" },
          s("circle", { r: 6, class: "lost validity" }),
        ),
        "mostly validity: mass goes to invalid tokens",
      ),
      h(
        "span",
        {},
        s(
          "svg",
          { viewBox: "-8 -8 16 16", class: "key" },
          s("rect", { x: -6, y: -6, width: 12, height: 12, class: "lost diversity" }),
        ),
        "mostly diversity: mass is piled on a few valid tokens",
      ),
      hidden > 0 && `the ${count(hidden)} prefixes that lose least are not drawn`,
    ),
    svg,
    () => ({
      prefix: nodes.map((node) => unit.prefixText(node)),
      reach: nodes.map((node) => losses.reach[node]),
      validity_lost: nodes.map((node) => losses.validityLost[node]),
      diversity_lost: nodes.map((node) => losses.diversityLost[node]),
    }),
  );
}

function depths(unit: Unit, losses: Attribution): HTMLElement {
  const { trie } = unit;
  const deepest = Math.max(...trie.depth);
  const sums = Array.from({ length: deepest }, () => [0, 0]);
  for (let node = 0; node < trie.length; node++) {
    if (!trie.isPrefix(node)) continue;
    sums[trie.depth[node]][0] += losses.validityLost[node];
    sums[trie.depth[node]][1] += losses.diversityLost[node];
  }
  const most = Math.max(...sums.flat(), 1e-6);
  const chart = new Chart(
    chartWidth(),
    230,
    {
      label: "Step of the answer",
      domain: [0.5, deepest + 0.5],
      format: (value) => (Number.isInteger(value) ? String(value) : ""),
    },
    { label: "Lost (nats)", domain: [0, 1.08 * most] },
    "Validity and diversity lost at each step",
  );
  const width = Math.min(26, (chart.x(2) - chart.x(1)) / 2.4);
  const bar = (step: number, value: number, side: number, name: string) =>
    s("rect", {
      x: chart.x(step + 1) + (side < 0 ? -width - 1 : 1),
      y: chart.y(value),
      width,
      height: Math.max(chart.y(0) - chart.y(value), 0),
      class: `lost ${name}`,
    });
  chart.add(
    sums
      .map(([order, shape], step) => [
        bar(step, order, -1, "validity"),
        bar(step, shape, 1, "diversity"),
      ])
      .flat(),
  );
  return figure(
    "lost-by-step",
    "Left bars validity, right bars diversity: they add up over the steps.",
    chart.svg,
    () => ({
      step: sums.map((_, index) => index + 1),
      validity_lost: sums.map(([order]) => order),
      diversity_lost: sums.map(([, shape]) => shape),
    }),
  );
}

function leaks(state: State, unit: Unit): HTMLElement {
  const { leak, reachLogp } = state.outcome(unit);
  const order = Array.from(leak.keys())
    .filter((node) => leak[node] > 0)
    .sort((a, b) => leak[b] - leak[a])
    .slice(0, LISTED);
  return h(
    "table",
    { class: "leaks" },
    h("caption", {}, "Where generation leaves the valid answers most often"),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        ["after", "comes here", "and leaves"].map((name) => h("th", { scope: "col" }, name)),
      ),
    ),
    h(
      "tbody",
      {},
      order.map((node) =>
        h(
          "tr",
          {},
          h(
            "td",
            {},
            h(
              "button",
              { type: "button", onclick: () => state.go(unit, node) },
              h("bdi", {}, prefix(unit.prefixText(node))),
              " ›",
            ),
          ),
          h("td", {}, percent(Math.exp(reachLogp[node]))),
          h("td", {}, percent(leak[node])),
        ),
      ),
    ),
  );
}
