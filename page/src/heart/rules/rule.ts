/** A rule: steps in an order, read from text and printed. Mirrors `breadth.rules.rule`. */

import type { Masses } from "../mass.ts";
import { ENGINES } from "./engines.ts";
import { RuleError } from "./error.ts";
import { accepts, ExactTopK, parseStep, type Step, STEPS, Temperature, TopK } from "./steps.ts";
import { closest, quoted, shortText } from "./text.ts";
import { Window } from "./window.ts";

/** Diagnostic rules that look at the trie, and what they keep. They end a rule. */
export const ORACLES = new Map([
  ["oracle_size", "keep as many top-ranked events as there are valid ones"],
  ["oracle_validity", "keep the valid tokens only, with the model's probabilities"],
  ["oracle_shape", "keep the valid tokens only, each in proportion to the answers below it"],
]);

/** An ordered pipeline of decoding steps, perhaps ending in an oracle. */
export class Rule {
  /**
   * @param steps applied first to last
   * @param oracle a name in `ORACLES`, or undefined for a rule that an engine can run
   * @param engine the preset whose order and details it follows; undefined: the order as written
   */
  constructor(
    readonly steps: readonly Step[],
    readonly oracle?: string,
    readonly engine?: string,
  ) {}

  /** The rule as it is written, canonically: `temperature=1.5,min_p=0.1`. */
  toString(): string {
    return [...this.steps.map(String), ...(this.oracle ? [this.oracle] : [])].join(",");
  }

  /** What a front is drawn for: the steps' names without temperature, or `temperature` alone. */
  get family(): string {
    const names = this.steps.map((step) => step.name).filter((name) => name !== "temperature");
    return [...names, ...(this.oracle ? [this.oracle] : [])].join("+") || "temperature";
  }

  /** Whether it keeps the top of the ranking at every prefix. */
  get isCutoff(): boolean {
    return this.oracle === undefined && this.steps.every((step) => step.isCutoff);
  }

  /** The rule as a person tells it from others: with the engine that it follows. */
  get label(): string {
    return this.engine ? `${this} [${this.engine}]` : String(this);
  }

  /** Product of all temperatures; 0 for a greedy rule. */
  get temperature(): number {
    return this.steps.reduce(
      (product, step) => (step instanceof Temperature ? product * step.value : product),
      1,
    );
  }

  /** What the steps keep at a row; the weights of a mixture sum to 1. */
  windows(masses: Masses, row: number): Window[] {
    let windows = [Window.whole(masses, row)];
    for (const step of this.steps) windows = windows.flatMap((window) => step.apply(window));
    return windows;
  }
}

/**
 * Read a rule such as `temperature=1.5,min_p=0.1`, an oracle, or the name of an engine preset.
 *
 * @param engine a name in `ENGINES`: its order replaces the one written, and its details apply
 * @throws RuleError an unknown step or engine, a parameter missing or out of range, a step before
 *   an oracle that is not temperature, or a step that the engine lacks
 */
export function parseRule(text: string, engine?: string): Rule {
  text = text.trim();
  if (engine !== undefined && !ENGINES.has(engine)) {
    const names = [...ENGINES.keys()].join(", ");
    throw new RuleError(`engine ${quoted(engine)} is unknown; choose one of ${names}`);
  }
  const preset = ENGINES.get(text);
  if (preset) {
    if (engine !== undefined && engine !== text) {
      const clash = `is that engine's default and cannot follow ${quoted(engine)} too`;
      throw new RuleError(`rule ${quoted(text)} ${clash}`);
    }
    return parseRule(preset.defaults, text);
  }
  const { steps, oracle } = parseSteps(text);
  const ordered = engine === undefined ? steps : inEngineOrder(steps, engine, text);
  if (oracle && ordered.some((step) => step.name !== "temperature")) {
    throw new RuleError(`rule ${quoted(text)}: only temperature may come before ${oracle}`);
  }
  const kept = ordered.filter((step) => !step.isNeutral);
  const rule = new Rule(kept.length || oracle ? kept : [new Temperature(1)], oracle, engine);
  if (rule.temperature && !new Temperature(rule.temperature).inRange()) {
    throw new RuleError(
      `rule ${quoted(text)}: its temperatures multiply to ${shortText(rule.temperature)}; ` +
        `temperature takes ${accepts("temperature")}`,
    );
  }
  return rule;
}

/** The steps in the order written, and the oracle that ends them, if any. */
function parseSteps(text: string): { steps: Step[]; oracle?: string } {
  const steps: Step[] = [];
  let oracle: string | undefined;
  for (const part of text.split(",")) {
    const equals = part.indexOf("=");
    const name = (equals < 0 ? part : part.slice(0, equals)).trim();
    const value = equals < 0 ? "" : part.slice(equals + 1).trim();
    const refuse = (reason: string) => new RuleError(`rule ${quoted(text)}: ${reason}`);
    if (oracle) throw refuse(`${oracle} must come last, but ${name} follows it`);
    if (ORACLES.has(name)) {
      if (equals >= 0) throw refuse(`${name} takes no parameter`);
      oracle = name;
    } else if (!STEPS.has(name)) {
      throw refuse(unknown(name));
    } else if (!value) {
      throw refuse(`${name} needs a value; it takes ${accepts(name)}`);
    } else {
      steps.push(parseStep(name, value));
    }
  }
  return oracle ? { steps, oracle } : { steps };
}

function unknown(name: string): string {
  const known = [...STEPS.keys(), ...ORACLES.keys(), ...ENGINES.keys()];
  const close = closest(name, known);
  const hint = close ? `did you mean ${close}?` : `choose among ${known.join(", ")}`;
  return `${name || "an empty step"} is unknown; ${hint}`;
}

function inEngineOrder(steps: readonly Step[], engine: string, text: string): Step[] {
  const { order, exactTopK } = ENGINES.get(engine)!;
  const byName = new Map<string, Step>();
  const refuse = (reason: string) => new RuleError(`rule ${quoted(text)}: ${engine} ${reason}`);
  for (const step of steps) {
    if (!order.includes(step.name)) {
      throw refuse(`has no ${step.name}; it has ${order.join(", ")}`);
    }
    if (byName.has(step.name)) throw refuse(`applies ${step.name} once, but it is given twice`);
    byName.set(step.name, step);
  }
  return order
    .flatMap((name) => byName.get(name) ?? [])
    .map((step) => (exactTopK && step instanceof TopK ? new ExactTopK(step.value) : step));
}
