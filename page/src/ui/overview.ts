/** The first table: every run of the page in one row, and the way to it. */

import type { Unit } from "../heart/index.ts";
import { h } from "./dom.ts";
import type { State } from "./state.ts";
import { count, number, visible } from "./words.ts";

/** Validities at which the best rule is told. */
const FLOORS = ["0.95", "0.8"];

export function overview(state: State): HTMLElement {
  const best = (unit: Unit, floor: string) => {
    const found = unit.facts.diagnosis.best[floor];
    return found ? [number(found.diversity, 2), " ", h("code", {}, found.rule)] : "none reaches it";
  };
  const headings = [
    "model",
    "task",
    "answers",
    "default: validity",
    "diversity",
    ...FLOORS.map((floor) => `best diversity at validity ≥ ${floor}`),
    "oracle size: validity",
    "what blocks",
  ];
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": "All runs" },
    h(
      "table",
      { class: "overview" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          headings.map((name) => h("th", { scope: "col" }, name)),
        ),
      ),
      h(
        "tbody",
        {},
        state.units.map((unit, index) => {
          const { diagnosis } = unit.facts;
          const isShown = index === state.now.shown;
          return h(
            "tr",
            isShown ? { "aria-current": "true" } : {},
            h("td", {}, visible(unit.model)),
            h(
              "td",
              {},
              h("button", { type: "button", onclick: () => state.show(index) }, unit.task),
            ),
            h("td", {}, count(unit.answers.length)),
            h("td", {}, number(diagnosis.validity, 2)),
            h("td", {}, number(diagnosis.diversity, 2)),
            FLOORS.map((floor) => h("td", {}, best(unit, floor))),
            h("td", {}, number(diagnosis.oracle_size_validity, 2)),
            h("td", {}, diagnosis.bottleneck ?? "–"),
          );
        }),
      ),
    ),
  );
}
