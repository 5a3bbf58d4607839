/** The rule, as sliders, as an order of steps, and as text. */

import { ENGINES, ORACLES, parseRule, type Rule, RuleError } from "../heart/index.ts";
import { h, replace } from "./dom.ts";
import type { State } from "./state.ts";

/** A step with a slider. Sliders run from 0 to 1000. */
interface Slider {
  readonly name: string;
  readonly label: string;
  readonly low: number;
  readonly high: number;
  readonly whole?: boolean;
  /** Value when it is switched on. */
  readonly first: number;
}

const SLIDERS: readonly Slider[] = [
  { name: "temperature", label: "Temperature", low: 0.1, high: 5, first: 1 },
  { name: "top_k", label: "Top-k", low: 1, high: 1000, whole: true, first: 50 },
  { name: "top_p", label: "Top-p", low: 0.05, high: 1, first: 0.9 },
  { name: "min_p", label: "Min-p", low: 0.001, high: 1, first: 0.1 },
];

const STEPS = 1000;

/** A step in the order that the reader gave. */
interface Part {
  readonly name: string;
  readonly value: string;
}

/** Builds the controls; they follow the rule, whoever changes it. */
export function controls(state: State): HTMLElement {
  const oracle = h(
    "select",
    { id: "oracle", onchange: () => apply() },
    h("option", { value: "" }, "none"),
    [...ORACLES].map(([name, what]) => h("option", { value: name, title: what }, name)),
  );
  const engine = h(
    "select",
    { id: "engine", onchange: () => apply() },
    h("option", { value: "" }, "as ordered here"),
    [...ENGINES.keys()].map((name) => h("option", { value: name }, name)),
  );
  const text = h("input", {
    id: "rule",
    type: "text",
    spellcheck: "false",
    autocomplete: "off",
    "aria-describedby": "rule-error",
    onchange: () => read(text.value),
  });
  const problem = h("p", { id: "rule-error", class: "error", role: "alert" });
  const rows = h("div", { class: "sliders" });
  const root = h(
    "section",
    { class: "controls", "aria-label": "Decoding rule" },
    rows,
    h(
      "div",
      { class: "choices" },
      h("label", { for: "engine" }, "Order", engine),
      h("label", { for: "oracle" }, "Oracle", oracle),
      h("label", { for: "rule", class: "wide" }, "Rule", text),
      h(
        "button",
        { type: "button", onclick: () => show(state.units[state.now.shown].defaultRule) },
        "Model’s default",
      ),
    ),
    problem,
  );
  let parts: Part[] = [];

  const show = (rule: Rule) => state.change({ rule });

  function read(written: string, follow = engine.value || undefined): void {
    try {
      replace(problem);
      show(parseRule(written || "temperature=1", follow));
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
      replace(problem, error.message);
      reset();
    }
  }

  /** The rule that the controls spell. */
  function apply(): void {
    const steps = oracle.value ? parts.filter(({ name }) => name === "temperature") : parts;
    const written = steps.map(({ name, value }) => `${name}=${value}`);
    read([...written, ...(oracle.value ? [oracle.value] : [])].join(","));
  }

  function set(name: string, value: string | undefined): void {
    const at = parts.findIndex((part) => part.name === name);
    if (value === undefined) parts = parts.filter((part) => part.name !== name);
    else if (at < 0) parts = [...parts, { name, value }];
    else parts = parts.map((part, index) => (index === at ? { name, value } : part));
    apply();
  }

  function move(name: string, by: number): void {
    const at = parts.findIndex((part) => part.name === name);
    const to = at + by;
    if (to < 0 || to >= parts.length) return;
    parts = parts.slice();
    [parts[at], parts[to]] = [parts[to], parts[at]];
    engine.value = "";
    apply();
  }

  const inputs = new Map(SLIDERS.map((slider) => [slider.name, row(slider, set, move)]));
  replace(
    rows,
    [...inputs.values()].map(({ element }) => element),
  );

  /** The controls that hold no text, as the rule has them. */
  function reset(): void {
    const { rule } = state.now;
    parts = rule.steps.map((step) => {
      const [name, value] = String(step).split("=");
      return { name, value };
    });
    engine.value = rule.engine ?? "";
    oracle.value = rule.oracle ?? "";
  }

  function follow(): void {
    const { rule } = state.now;
    reset();
    replace(problem);
    for (const [name, input] of inputs) {
      const at = parts.findIndex((part) => part.name === name);
      input.follow(at < 0 ? undefined : parts[at].value, at, parts.length, Boolean(rule.engine));
    }
    text.value = String(rule);
    text.title = String(rule);
  }

  state.onChange((changed) => {
    if (changed.has("rule")) follow();
  });
  follow();
  return root;
}

function row(
  slider: Slider,
  set: (name: string, value: string | undefined) => void,
  move: (name: string, by: number) => void,
) {
  const { name, label, low, high } = slider;
  const toValue = (place: number) => {
    const value = low * (high / low) ** (place / STEPS);
    return slider.whole ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
  };
  const toPlace = (value: number) =>
    Math.round((STEPS * Math.log(value / low)) / Math.log(high / low));
  const on = h("input", {
    type: "checkbox",
    id: `${name}-on`,
    onchange: () => set(name, on.checked ? String(slider.first) : undefined),
  });
  const range = h("input", {
    type: "range",
    id: `${name}-range`,
    min: 0,
    max: STEPS,
    "aria-label": `${label} slider`,
    oninput: () => set(name, toValue(Number(range.value))),
  });
  const exact = h("input", {
    type: "text",
    inputmode: "decimal",
    id: name,
    "aria-label": `${label} value`,
    onchange: () => set(name, exact.value.trim() || undefined),
  });
  const place = h("output", { class: "place", title: "Place in the order of steps" });
  const button = (what: string, arrow: string, by: number) =>
    h(
      "button",
      {
        type: "button",
        class: "move",
        title: `Apply ${label} ${what}`,
        onclick: () => move(name, by),
      },
      arrow,
    );
  const earlier = button("earlier", "↑", -1);
  const later = button("later", "↓", 1);
  const element = h(
    "div",
    { class: "slider" },
    h("label", { for: `${name}-on` }, on, label),
    range,
    exact,
    place,
    earlier,
    later,
  );
  function follow(value: string | undefined, at: number, of: number, fixed: boolean): void {
    on.checked = value !== undefined;
    element.classList.toggle("off", value === undefined);
    exact.value = value ?? "";
    if (value !== undefined) range.value = String(toPlace(Math.max(Number(value), low)));
    place.textContent = value === undefined ? "" : `${at + 1}.`;
    earlier.disabled = value === undefined || at === 0 || fixed;
    later.disabled = value === undefined || at === of - 1 || fixed;
  }
  return { element, follow };
}
