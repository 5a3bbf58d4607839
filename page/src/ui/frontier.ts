/** Validity against diversity: every rule that was tried, and the current one as a moving point. */

import { symbol, symbolsFill, symbolStar, type SymbolType } from "d3-shape";

import { measures, parseRule, type Tried, type Unit } from "../heart/index.ts";
import { Chart, chartWidth, figure } from "./chart.ts";
import { h, replace, s } from "./dom.ts";
import type { State } from "./state.ts";
import { number } from "./words.ts";

const COLOURS = 10;

interface Family {
  readonly name: string;
  readonly points: readonly Tried[];
  readonly front: readonly Tried[];
  readonly shape: SymbolType;
  readonly colour: string;
}

/** A frontier that is drawn once; `follow` moves the point. */
export function frontier(state: State, unit: Unit): { element: HTMLElement; follow: () => void } {
  const chart = new Chart(
    chartWidth(),
    430,
    { label: "Validity: probability that an answer is valid", domain: [0, 1.02] },
    { label: "Diversity: share of the valid answers in use", domain: [0, 1.02] },
    "Validity against diversity of all rules tried; arrow keys go along the best ones, Enter takes one",
  );
  const families = grouped(unit.tried);
  const named = h(
    "span",
    { class: "hover", "aria-live": "polite" },
    "Point at a rule to name it, click to take it.",
  );
  const one = 1 / unit.answers.length;
  chart.path(
    [
      [0, one],
      [1, one],
    ],
    { class: "repeating" },
  );
  ceilings(chart, unit);
  for (const family of families) {
    chart.path(
      family.front.map(({ validity, diversity }) => [validity, diversity] as const),
      { class: `front ${family.colour}` },
    );
    chart.add(
      family.points.map((point) => dot(chart, family, point, family.front.includes(point))),
    );
  }
  const star = state.default(unit);
  chart.add(
    s("path", {
      d: symbol(symbolStar, 130)() ?? "",
      transform: `translate(${chart.x(star.validity)},${chart.y(star.diversity || 0)})`,
      class: "default",
    }),
  );
  const current = s("circle", { r: 8, class: "current" });
  const aim = s("circle", { r: 7, class: "aim", visibility: "hidden" });
  chart.add(aim, current);

  const all = families
    .flatMap(({ points }) => points)
    .filter(({ diversity }) => !Number.isNaN(diversity));
  const best = measures.paretoFront(all);
  let aimed: Tried | undefined;
  const point = (rule: Tried | undefined) => {
    aimed = rule;
    aim.setAttribute("visibility", rule ? "visible" : "hidden");
    if (!rule) return;
    aim.setAttribute("cx", String(chart.x(rule.validity)));
    aim.setAttribute("cy", String(chart.y(rule.diversity)));
    replace(
      named,
      h("code", {}, rule.engine ? `${rule.rule} [${rule.engine}]` : rule.rule),
      ` · validity ${number(rule.validity)} · diversity ${number(rule.diversity)}`,
    );
  };
  const take = () => {
    if (aimed) state.change({ rule: parseRule(aimed.rule, aimed.engine ?? undefined) });
  };
  chart.svg.addEventListener("pointermove", (event) => point(nearest(chart, all, event)));
  // A finger does not hover: what it touches is named first.
  chart.svg.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse") point(nearest(chart, all, event));
  });
  chart.svg.addEventListener("click", take);
  chart.svg.setAttribute("tabindex", "0");
  chart.svg.addEventListener("keydown", (event) => {
    const by = { ArrowRight: -1, ArrowDown: -1, ArrowLeft: 1, ArrowUp: 1 }[event.key];
    if (by !== undefined && best.length) {
      event.preventDefault();
      const at = aimed ? best.indexOf(aimed) : -1;
      point(best[(at + by + best.length) % best.length]);
    }
    if (event.key === "Enter") take();
  });

  const follow = () => {
    const outcome = state.outcome(unit);
    current.setAttribute("cx", String(chart.x(outcome.validity)));
    current.setAttribute("cy", String(chart.y(outcome.diversity || 0)));
  };
  follow();
  const element = h(
    "article",
    { class: "split" },
    figure("frontier", named, chart.svg, () => ({
      rule: all.map(({ rule }) => rule),
      engine: all.map(({ engine }) => engine ?? ""),
      family: all.map(({ family }) => family),
      validity: all.map(({ validity }) => validity),
      diversity: all.map(({ diversity }) => diversity),
    })),
    legend(families, unit),
  );
  return { element, follow };
}

function grouped(tried: readonly Tried[]): Family[] {
  const byName = new Map<string, Tried[]>();
  for (const point of tried) byName.set(point.family, [...(byName.get(point.family) ?? []), point]);
  return [...byName].map(([name, points], index) => ({
    name,
    points,
    front: measures.paretoFront(points),
    shape: symbolsFill[index % symbolsFill.length],
    colour: name.includes("oracle") ? "oracle" : `series-${index % COLOURS}`,
  }));
}

function dot(
  chart: Chart,
  family: Family,
  { validity, diversity }: Tried,
  best: boolean,
): SVGPathElement | null {
  if (Number.isNaN(diversity)) return null;
  return s("path", {
    d: symbol(family.shape, best ? 40 : 14)() ?? "",
    transform: `translate(${chart.x(validity)},${chart.y(diversity)})`,
    class: `dot ${family.colour}${best ? "" : " faint"}`,
  });
}

/** The most diversity of any sampler that respects the ranking, where the run says so. */
function ceilings(chart: Chart, unit: Unit): void {
  const known = Object.entries(unit.facts.explanation?.diversity_ceilings ?? {})
    .map(([floor, [, above]]) => [Number(floor), above] as const)
    .filter((point): point is readonly [number, number] => point[1] !== null)
    .sort(([a], [b]) => a - b);
  const cutoffs = unit.facts.explanation?.cutoff_curve ?? [];
  chart.path(cutoffs, { class: "cutoffs" });
  if (!known.length) return;
  chart.path(known, { class: "ceiling" });
  chart.add(
    known.map(([floor, above]) => {
      const [x, y] = [chart.x(floor), chart.y(above)];
      return s("path", { d: `M${x - 9},${y}H${x + 9}M${x},${y}v-7`, class: "ceiling" });
    }),
  );
}

function nearest(chart: Chart, points: readonly Tried[], event: PointerEvent): Tried | undefined {
  const box = chart.svg.getBoundingClientRect();
  const x = ((event.clientX - box.left) * chart.width) / box.width;
  const y = ((event.clientY - box.top) * chart.height) / box.height;
  let best: Tried | undefined;
  let least = 20 ** 2;
  for (const point of points) {
    const away = (chart.x(point.validity) - x) ** 2 + (chart.y(point.diversity) - y) ** 2;
    if (away < least) [best, least] = [point, away];
  }
  return best;
}

function legend(families: readonly Family[], unit: Unit): HTMLElement {
  const key = (mark: SVGElement, name: string) =>
    h(
      "span",
      {},
      s("svg", { viewBox: "-9 -9 18 18", class: "key", "aria-hidden": "true" }, mark),
      name,
    );
  return h(
    "span",
    { class: "legend column-legend" },
    key(s("circle", { r: 6, class: "current" }), "this rule"),
    key(s("path", { d: symbol(symbolStar, 90)() ?? "", class: "default" }), "the model’s default"),
    families.map((family) =>
      key(
        s("path", { d: symbol(family.shape, 60)() ?? "", class: `dot ${family.colour}` }),
        family.name,
      ),
    ),
    unit.facts.explanation?.cutoff_curve?.length &&
      key(
        s("path", { d: "M-8,0H8", class: "cutoffs" }),
        "share of the answers that any cutoffs can keep at this validity (temperature 1)",
      ),
    unit.facts.explanation &&
      key(
        s("path", { d: "M-8,3H8M0,3v-7", class: "ceiling" }),
        "at most, for any sampler that respects the ranking",
      ),
    key(s("path", { d: "M-8,0H8", class: "repeating" }), "always the same answer"),
  );
}
