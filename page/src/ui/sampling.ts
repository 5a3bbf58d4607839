/** Sampling more: how many different valid answers turn up in n samples. */

import type { Unit } from "../heart/index.ts";
import { measures } from "../heart/index.ts";
import { Chart, chartWidth, figure } from "./chart.ts";
import { h, s } from "./dom.ts";
import type { State } from "./state.ts";
import { count, number } from "./words.ts";

export function sampling(state: State, unit: Unit): HTMLElement {
  const n = unit.answers.length;
  const { most, counts, ideal, byDefault } = fixed(state, unit);
  const current = state.outcome(unit);
  const chart = new Chart(
    chartWidth(),
    300,
    { label: "Samples (log scale)", domain: [1, most], log: true },
    { label: "Expected distinct valid answers", domain: [0, 1.04 * n] },
    "Expected distinct valid answers against the number of samples",
  );
  const byRule = counts.map((each) => [each, current.distinct(each)] as const);
  chart.path(ideal, { class: "ideal" });
  chart.path(byDefault, { class: "by-default" });
  chart.path(byRule, { class: "by-rule" });
  const { samples } = state.now;
  chart.add(
    s("circle", {
      cx: chart.x(samples),
      cy: chart.y(current.distinct(samples)),
      r: 6,
      class: "current",
    }),
  );
  const key = (name: string, label: string) =>
    h(
      "span",
      {},
      s(
        "svg",
        { viewBox: "-9 -9 18 18", class: "key", "aria-hidden": "true" },
        s("path", { d: "M-8,0H8", class: name }),
      ),
      label,
    );
  return h(
    "article",
    {},
    figure(
      "sampling",
      h(
        "span",
        { class: "legend" },
        key("by-rule", "this rule"),
        key("by-default", "the model’s default"),
        key("ideal", "an ideal sampler"),
      ),
      chart.svg,
      () => ({
        samples: counts,
        this_rule: byRule.map(([, value]) => value),
        default: byDefault.map(([, value]) => value),
        ideal: ideal.map(([, value]) => value),
      }),
    ),
    h(
      "p",
      { class: "facts" },
      `In ${count(samples)} samples: `,
      h("strong", {}, number(current.distinct(samples), 1)),
      ` different valid answers; ideally ${number(measures.idealDistinct(n, samples), 1)}.`,
    ),
  );
}

type Curve = readonly (readonly [number, number])[];

/** What does not change with the rule. */
interface Fixed {
  readonly most: number;
  readonly counts: readonly number[];
  readonly ideal: Curve;
  readonly byDefault: Curve;
}

const known = new WeakMap<Unit, Fixed>();

function fixed(state: State, unit: Unit): Fixed {
  const found = known.get(unit);
  if (found) return found;
  const n = unit.answers.length;
  const most = 10 ** Math.ceil(Math.log10(Math.max(100 * n, 1000)));
  const counts = Array.from({ length: 49 }, (_, index) => most ** (index / 48));
  const byDefault = state.default(unit);
  const made = {
    most,
    counts,
    ideal: counts.map((each) => [each, measures.idealDistinct(n, each)] as const),
    byDefault: counts.map((each) => [each, byDefault.distinct(each)] as const),
  };
  known.set(unit, made);
  return made;
}
