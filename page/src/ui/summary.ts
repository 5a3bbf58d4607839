/** The diagnosis in a sentence, and the numbers of the current rule beside the model's default. */

import type { Outcome, Unit } from "../heart/index.ts";
import { measures, SHARES } from "../heart/index.ts";
import { type Child, h } from "./dom.ts";
import type { State } from "./state.ts";
import { count, number, visible } from "./words.ts";

/** One run's sentence and table. */
export function summary(state: State, unit: Unit): HTMLElement {
  const current = state.outcome(unit);
  const { samples } = state.now;
  const columns: [string, Outcome][] = [
    ["this rule", current],
    ["model’s default", state.default(unit)],
  ];
  const row = (name: Child, title: string, of: (outcome: Outcome) => string, id: string) =>
    h(
      "tr",
      { title },
      h("th", { scope: "row" }, name),
      columns.map(([, outcome], index) =>
        h("td", index === 0 ? { "data-number": id } : {}, of(outcome)),
      ),
    );
  const { diagnosis } = unit.facts;
  const never = (n: number | null) => (n === null ? "never" : count(n));
  return h(
    "article",
    {},
    diagnosis.sentence && h("p", { class: "sentence" }, visible(diagnosis.sentence)),
    warnings(unit, current),
    h(
      "div",
      { class: "split" },
      h(
        "table",
        { class: "numbers" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("td"),
            columns.map(([name]) => h("th", { scope: "col" }, name)),
          ),
        ),
        h(
          "tbody",
          {},
          row(
            "Validity",
            "Probability that an answer is valid",
            (o) => number(o.validity),
            "validity",
          ),
          row(
            "Diversity",
            "How evenly the valid answers are covered: 1 is all equally likely",
            (o) => number(o.diversity),
            "diversity",
          ),
          row(
            "Coverage",
            `Expected distinct valid answers in ${count(unit.answers.length)} samples, over the ideal sampler’s`,
            (o) => number(o.coverage),
            "coverage",
          ),
          row(
            `Distinct in ${count(samples)}`,
            `Expected distinct valid answers in so many samples; an ideal sampler finds ${number(
              measures.idealDistinct(unit.answers.length, samples),
              1,
            )}`,
            (o) => number(o.distinct(samples), 1),
            "distinct",
          ),
          SHARES.map((share) =>
            row(
              `Samples for ${100 * share} %`,
              "Fewest samples that are expected to show this share of the answers",
              (o) => never(o.samplesFor(share)),
              `samples-${share}`,
            ),
          ),
          row(
            "Recall",
            "Share of the answers that the rule can give at all",
            (o) => number(o.recall),
            "recall",
          ),
          row(
            "Precision",
            "Probability of a valid answer if every step drew uniformly from what is kept",
            (o) => number(o.precision),
            "precision",
          ),
        ),
      ),
      ladder(unit),
    ),
  );
}

function warnings(unit: Unit, outcome: Outcome): Child {
  const said: string[] = [];
  if (unit.facts.left_out) {
    const lost = number(outcome.unknown);
    said.push(
      `The ${count(unit.facts.left_out)} least reached prefixes are not on this page: validity may be up to ` +
        `${lost} higher.`,
    );
  }
  if (outcome.cutInTail) {
    said.push("A cut falls beyond the ranks carried exactly: numbers may be off by 0.001.");
  }
  return said.map((text) => h("p", { class: "note" }, text));
}

/** What the explanation in the run says of its rule: blame, and what could be won back. */
function ladder(unit: Unit): Child {
  const facts = unit.facts.explanation;
  if (!facts) return null;
  const { ladder: rungs, blame } = facts;
  const rung = (value: number | null, name: string, gain: number | null, how: string) =>
    h(
      "tr",
      {},
      h("td", {}, number(value)),
      h("th", { scope: "row" }, name),
      h("td", {}, gain === null ? "" : `×${Math.exp(gain).toFixed(2)} ${how}`),
    );
  return h(
    "div",
    { class: "ladder" },
    h("h4", {}, `What could be won back from ${facts.rule}`),
    rungs.applies
      ? h(
          "table",
          { class: "numbers" },
          h(
            "tbody",
            {},
            rung(rungs.rule, "this rule", null, ""),
            rung(rungs.best, `best rule tried: ${rungs.best_rule}`, rungs.log_tuning, "by tuning"),
            rung(
              rungs.ceiling,
              `any sampler that respects the ranking (${rungs.status})`,
              rungs.log_reshaping,
              "by reshaping",
            ),
            rung(1, "an ideal sampler", rungs.log_order, "by a better order"),
          ),
        )
      : h("p", {}, "The ladder does not apply to a rule that drops the top of the ranking."),
    h(
      "p",
      {},
      `Of the coverage that is missing, ${number(1 - facts.coverage)}, order is to blame for `,
      `${number(blame.order)} and shape for ${number(blame.shape)}.`,
    ),
  );
}
