/** What the reader has chosen. Everything on the page is a function of it. */

import { evaluate, type Outcome, type Rule, type Unit } from "../heart/index.ts";

export interface Choice {
  /** Index of the run that is shown. */
  readonly shown: number;
  /** Index of a second run beside it. */
  readonly beside: number | undefined;
  readonly rule: Rule;
  /** Number of samples that distinct answers are counted in. */
  readonly samples: number;
}

type Listener = (changed: ReadonlySet<keyof Choice | "node">) => void;

/** The choice, the prefix that is open in every run, and the outcomes that follow. */
export class State {
  private readonly listeners: Listener[] = [];
  private readonly outcomes = new Map<Unit, Outcome>();
  private readonly defaults = new Map<Unit, Outcome>();
  private readonly nodes = new Map<Unit, number>();
  private pending = new Set<keyof Choice | "node">();

  constructor(
    readonly units: readonly Unit[],
    private choice: Choice,
  ) {}

  get now(): Choice {
    return this.choice;
  }

  /** The runs on the page: one, or two side by side. */
  get open(): Unit[] {
    const { shown, beside } = this.choice;
    return [this.units[shown], ...(beside === undefined ? [] : [this.units[beside]])];
  }

  /** The rule on a run. */
  outcome(unit: Unit): Outcome {
    let outcome = this.outcomes.get(unit);
    if (outcome?.rule !== this.choice.rule) {
      outcome = evaluate(unit, this.choice.rule);
      this.outcomes.set(unit, outcome);
    }
    return outcome;
  }

  /** The model's default rule on a run. */
  default(unit: Unit): Outcome {
    const known = this.defaults.get(unit) ?? unit.outcome(unit.defaultRule);
    this.defaults.set(unit, known);
    return known;
  }

  /** The prefix that is open in a run. */
  node(unit: Unit): number {
    return this.nodes.get(unit) ?? 0;
  }

  /** Go to a prefix. */
  go(unit: Unit, node: number): void {
    this.nodes.set(unit, node);
    this.announce("node");
  }

  /** Choose something else. */
  change(part: Partial<Choice>): void {
    this.choice = { ...this.choice, ...part };
    for (const name of Object.keys(part) as (keyof Choice)[]) this.announce(name);
  }

  /** Go to a run; a rule that was its model's default becomes the other's. */
  show(index: number): void {
    const isDefault =
      String(this.choice.rule) === String(this.units[this.choice.shown].defaultRule);
    this.change({
      shown: index,
      rule: isDefault ? this.units[index].defaultRule : this.choice.rule,
    });
  }

  /** Be told of changes, at most once a frame. */
  onChange(listener: Listener): void {
    this.listeners.push(listener);
  }

  private announce(name: keyof Choice | "node"): void {
    if (this.pending.size === 0) {
      requestAnimationFrame(() => {
        const changed = this.pending;
        this.pending = new Set();
        for (const listener of this.listeners) listener(changed);
      });
    }
    this.pending.add(name);
  }
}
