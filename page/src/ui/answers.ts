/** How likely each valid answer is under the rule, and which will hardly be seen. */

import type { Outcome, Unit } from "../heart/index.ts";
import { measures } from "../heart/index.ts";
import { Chart, chartWidth, figure } from "./chart.ts";
import { h, replace, s } from "./dom.ts";
import type { State } from "./state.ts";
import { count, number, visible } from "./words.ts";

/** Rows of the table. */
const LISTED = 200;

/** A table that keeps its search while the rule changes. */
export function answersView(
  state: State,
  unit: Unit,
): { element: HTMLElement; follow: () => void } {
  const search = h("input", {
    type: "search",
    placeholder: "Search answers",
    "aria-label": "Search answers",
  });
  const unseen = h("input", { type: "checkbox", id: `unseen-${state.units.indexOf(unit)}` });
  const chart = h("div");
  const shown = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Answers" });
  const note = h("p", { class: "facts" });
  const follow = () => {
    const outcome = state.outcome(unit);
    const order = sorted(outcome);
    replace(chart, curve(unit, outcome, order));
    list(order);
  };
  const list = (order = sorted(state.outcome(unit))) => {
    const outcome = state.outcome(unit);
    const { samples } = state.now;
    const wanted = search.value.trim().toLocaleLowerCase();
    const seen = (answer: number) =>
      -Math.expm1(samples * Math.log1p(-Math.exp(Math.min(outcome.answerLogp[answer], 0))));
    const hardly = order.filter((answer) => seen(answer) < 0.5);
    const found = (unseen.checked ? hardly : order).filter((answer) =>
      unit.answers[answer].toLocaleLowerCase().includes(wanted),
    );
    replace(
      note,
      `${count(hardly.length)} of ${count(order.length)} answers are more likely than not unseen in `,
      `${count(samples)} samples.`,
      found.length > LISTED && ` The first ${LISTED} of ${count(found.length)} are listed.`,
    );
    const total = measures.validity(outcome.answerLogp);
    replace(shown, table(unit, outcome, found.slice(0, LISTED), total, samples, seen));
  };
  search.addEventListener("input", () => list());
  unseen.addEventListener("change", () => list());
  const element = h(
    "article",
    { class: "split" },
    chart,
    h(
      "div",
      {},
      h(
        "p",
        { class: "choices" },
        search,
        h("label", { for: unseen.id }, unseen, "only those that will hardly be seen"),
      ),
      note,
      shown,
    ),
  );
  follow();
  return { element, follow };
}

function sorted(outcome: Outcome): number[] {
  const { answerLogp } = outcome;
  return Array.from(answerLogp.keys()).sort((a, b) => answerLogp[b] - answerLogp[a] || a - b);
}

function table(
  unit: Unit,
  outcome: Outcome,
  answers: readonly number[],
  validity: number,
  samples: number,
  seen: (answer: number) => number,
): HTMLElement {
  const largest = Math.max(
    ...answers.map((answer) => Math.exp(outcome.answerLogp[answer])),
    1e-300,
  );
  return h(
    "table",
    { class: "answers" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        ["answer", "probability", "over its fair share", `seen in ${count(samples)}`, ""].map(
          (name) => h("th", { scope: "col" }, name),
        ),
      ),
    ),
    h(
      "tbody",
      {},
      answers.map((answer) => {
        const q = Math.exp(outcome.answerLogp[answer]);
        return h(
          "tr",
          {},
          h("th", { scope: "row" }, h("bdi", {}, visible(unit.answers[answer]))),
          h("td", {}, number(q, 4)),
          h("td", {}, validity > 0 ? `×${number((q / validity) * unit.answers.length, 2)}` : "–"),
          h("td", {}, number(seen(answer), 2)),
          h(
            "td",
            {},
            s(
              "svg",
              {
                viewBox: "0 0 100 10",
                preserveAspectRatio: "none",
                class: "bar",
                "aria-hidden": "true",
              },
              s("rect", { width: (100 * q) / largest, height: 10, class: "mark valid" }),
            ),
          ),
        );
      }),
    ),
  );
}

function curve(unit: Unit, outcome: Outcome, order: readonly number[]): HTMLElement {
  const n = order.length;
  const q = order.map((answer) => Math.exp(outcome.answerLogp[answer]));
  const positive = q.filter((each) => each > 0);
  const fair = 1 / n;
  const lowest = Math.max(Math.min(...positive, fair) / 2, 1e-12);
  const chart = new Chart(
    chartWidth(),
    280,
    { label: "Answers, likeliest first", domain: [1, Math.max(n, 2)] },
    { label: "Probability (log scale)", domain: [lowest, 1.3], log: true },
    "Probability of every valid answer, sorted",
  );
  chart.path(
    [
      [1, fair],
      [Math.max(n, 2), fair],
    ],
    { class: "repeating" },
  );
  chart.path(
    q.map((each, index) => [index + 1, each] as const),
    { class: "front series-0" },
  );
  if (n <= 300) {
    chart.add(
      q.map((each, index) =>
        each >= lowest
          ? s("circle", { cx: chart.x(index + 1), cy: chart.y(each), r: 2.6, class: "mark valid" })
          : null,
      ),
    );
  }
  const invalid = 1 - outcome.validity;
  if (invalid > lowest) {
    const y = chart.y(invalid);
    chart.add(
      s("path", { d: `M${chart.x.range()[0]},${y}H${chart.x.range()[1]}`, class: "tail" }),
      s(
        "text",
        { x: chart.x.range()[1], y: y - 5, "text-anchor": "end", class: "tail-label" },
        `all invalid answers together: ${number(invalid)}`,
      ),
    );
  }
  const never = n - positive.length;
  const said = never ? ` ${count(never)} answers are never given under this rule.` : "";
  return figure("answers", `Dotted: an ideal sampler, 1/|V| each.${said}`, chart.svg, () => ({
    answer: order.map((answer) => unit.answers[answer]),
    probability: q,
  }));
}
