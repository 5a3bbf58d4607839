/** One prefix: the ranked next events, which of them are valid, and what the rule keeps. */

import { symbol, symbolCircle, symbolDiamond, symbolTimes } from "d3-shape";

import { type Outcome, type Place, type StepView, stepAt, type Unit } from "../heart/index.ts";
import { Chart, chartWidth, figure } from "./chart.ts";
import { h, s } from "./dom.ts";
import type { State } from "./state.ts";
import { count, number, percent, prefix, token, visible } from "./words.ts";

const SHAPES = { valid: symbolCircle, rare: symbolDiamond, invalid: symbolTimes };

const MEANINGS = {
  valid: "valid",
  rare: "valid, but with a tenth of its fair share or less",
  invalid: "invalid",
};

/** Rows of the table. */
const LISTED = 24;

export function stepView(state: State, unit: Unit): HTMLElement {
  const outcome = state.outcome(unit);
  const node = state.node(unit);
  const step = stepAt(outcome, node);
  return h(
    "article",
    {},
    breadcrumbs(state, unit, node),
    step
      ? [
          masses(step, outcome.localPrecision[node], outcome.localRecall[node]),
          h(
            "div",
            { class: "split" },
            figure("next-token", legend(), ranking(outcome, unit, step), () => ({
              rank: step.places.map(({ rank }) => rank),
              token: step.places.map((place) => unit.tokenText(place.token)),
              status: step.places.map(({ status }) => status),
              probability_before: step.places.map(({ before }) => before),
              probability: step.places.map(({ probability }) => probability),
              kept: step.places.map(({ kept }) => kept),
            })),
            table(state, unit, step),
          ),
        ]
      : h(
          "p",
          { class: "note" },
          "This prefix is one of the least reached; it is not on the page.",
        ),
  );
}

function breadcrumbs(state: State, unit: Unit, node: number): HTMLElement {
  const path = [0, ...unit.trie.path(node)];
  return h(
    "nav",
    { class: "crumbs", "aria-label": "The answer so far" },
    path.map((each, index) => {
      const label = each === 0 ? "start" : token(unit.tokenText(unit.trie.token[each]));
      return index === path.length - 1
        ? h("strong", { "aria-current": "step", tabindex: -1 }, label)
        : h("button", { type: "button", onclick: () => state.go(unit, each) }, label);
    }),
  );
}

function masses(step: StepView, precision: number, recall: number): HTMLElement {
  const item = (name: string, value: string, title: string) =>
    h("span", { title }, `${name} `, h("strong", {}, value));
  return h(
    "p",
    { class: "facts" },
    item(
      "valid",
      percent(step.validMass),
      "Probability that the next event is valid, under this rule",
    ),
    item(
      "invalid",
      percent(Math.max(1 - step.validMass, 0)),
      "Probability that it leaves the valid answers",
    ),
    item("local precision", number(precision), "Share of the kept events that are valid"),
    item("local recall", number(recall), "Share of the answers below whose next event is kept"),
  );
}

function legend(): HTMLElement {
  return h(
    "span",
    { class: "legend" },
    (Object.keys(SHAPES) as (keyof typeof SHAPES)[]).map((status) =>
      h(
        "span",
        {},
        s(
          "svg",
          { viewBox: "-8 -8 16 16", class: "key", "aria-hidden": "true" },
          mark(status, 0, 0),
        ),
        MEANINGS[status],
      ),
    ),
  );
}

function mark(status: Place["status"], x: number, y: number): SVGPathElement {
  return s("path", {
    d: symbol(SHAPES[status], status === "invalid" ? 34 : 52)() ?? "",
    transform: `translate(${x},${y})`,
    class: `mark ${status}`,
  });
}

function ranking(outcome: Outcome, unit: Unit, step: StepView): SVGSVGElement {
  const floor = 1e-12;
  const points = curve(outcome, step.node);
  const lowest = Math.max(Math.min(...points.map(([, p]) => p)), floor);
  const chart = new Chart(
    chartWidth(),
    330,
    {
      label: "Rank of the next event (log scale)",
      domain: [0.9, Math.max(step.events, 2)],
      log: true,
    },
    { label: "Probability at this temperature (log)", domain: [lowest / 2, 1.5], log: true },
    "Probability of the next events by rank",
  );
  chart.path(
    points.filter(([, p]) => p >= lowest / 2),
    { class: "curve" },
  );
  for (const { low, high, weight } of step.windows) {
    if (high >= step.events && low === 0) continue;
    const right = chart.x(Math.min(high + 0.5, step.events));
    const [bottom, top] = chart.y.range();
    if (low > 0) {
      chart.add(
        s("path", { d: `M${chart.x(low + 0.5)},${bottom}V${top}`, class: "cut", opacity: weight }),
      );
    }
    chart.add(s("path", { d: `M${right},${bottom}V${top}`, class: "cut", opacity: weight }));
    chart.add(
      s("text", { x: right + 4, y: top + 12, class: "cut-label" }, `kept: ${count(high - low)}`),
    );
  }
  // Valid events on top of invalid ones.
  const drawn = step.places.filter(({ before }) => before >= lowest / 2);
  drawn.sort((a, b) => Number(b.status === "invalid") - Number(a.status === "invalid"));
  chart.add(
    drawn.map((place) => {
      const element = mark(place.status, chart.x(place.rank), chart.y(place.before));
      element.classList.toggle("dropped", place.kept === 0);
      element.append(
        s("title", {}, `${visible(unit.tokenText(place.token))} · rank ${place.rank}`),
      );
      return element;
    }),
  );
  return chart.svg;
}

/** The whole ranking of tokens, from the knots of its sketch. */
function curve(outcome: Outcome, node: number): [number, number][] {
  const { ranked, masses } = outcome.probe;
  const row = ranked.rowOf(node)!;
  const beta = 1 / (outcome.rule.temperature || 1);
  const { total } = masses.at(row, beta, 0);
  return Array.from({ length: ranked.knots }, (_, k) => [
    k < ranked.head ? k + 1 : ranked.tailEnd(row, k - ranked.head),
    Math.exp(-beta * ranked.knotGap[row * ranked.knots + k]) / total,
  ]);
}

function table(state: State, unit: Unit, step: StepView): HTMLElement {
  const top = step.places.slice(0, LISTED);
  const listed = [...top, ...step.places.slice(LISTED).filter(({ child }) => child >= 0)].slice(
    0,
    400,
  );
  const most = Math.max(...listed.map(({ probability }) => probability), 1e-12);
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": "Next events" },
    h(
      "table",
      { class: "events" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["rank", "next", "model", "under the rule", ""].map((name) =>
            h("th", { scope: "col" }, name),
          ),
        ),
      ),
      h(
        "tbody",
        {},
        listed.map((place) =>
          h(
            "tr",
            { class: `${place.status}${place.kept === 0 ? " dropped" : ""}` },
            h("td", {}, count(place.rank)),
            h("td", {}, next(state, unit, place)),
            h("td", {}, number(place.before)),
            h("td", {}, place.kept === 0 ? "cut" : number(place.probability)),
            h("td", {}, bar(place.probability / most, place.status)),
          ),
        ),
      ),
    ),
  );
}

/** A valid event that goes on is a button that goes there. */
function next(state: State, unit: Unit, place: Place): HTMLElement {
  const label = token(unit.tokenText(place.token));
  if (place.child < 0) return label;
  if (unit.trie.answer[place.child] >= 0) {
    return h(
      "span",
      {},
      label,
      h("small", {}, ` = ${visible(unit.answers[unit.trie.answer[place.child]])}`),
    );
  }
  return h(
    "button",
    {
      type: "button",
      title: `Go on after ${prefix(unit.prefixText(place.child))}`,
      onclick: () => state.go(unit, place.child),
    },
    label,
    " ›",
  );
}

function bar(share: number, status: string): SVGSVGElement {
  return s(
    "svg",
    { viewBox: "0 0 100 10", preserveAspectRatio: "none", class: "bar", "aria-hidden": "true" },
    s("rect", { width: 100 * share, height: 10, class: `mark ${status}` }),
  );
}
