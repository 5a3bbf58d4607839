/**
 * The heart of the page: everything that it computes. It mirrors the Python package, module by
 * module; `tests/test_page_heart.py` holds its numbers against Python's.
 */

export { attribute, type Attribution } from "./attribution.ts";
export { decode } from "./decode.ts";
export { Events } from "./events.ts";
export { Mass, Masses } from "./mass.ts";
export * as measures from "./measures.ts";
export { SHARES } from "./measures.ts";
export { evaluate, Outcome, type Probe } from "./outcome.ts";
export { Ranked } from "./ranked.ts";
export { ENGINES } from "./rules/engines.ts";
export { RuleError } from "./rules/error.ts";
export { ORACLES, parseRule, Rule } from "./rules/rule.ts";
export { accepts, parseStep, Step, STEPS } from "./rules/steps.ts";
export { numberText } from "./rules/text.ts";
export { Window } from "./rules/window.ts";
export { type Place, stepAt, type StepView } from "./step.ts";
export { END, ROOT, Trie } from "./trie.ts";
export { type Tried, Unit } from "./unit.ts";
