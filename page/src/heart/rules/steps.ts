/**
 * The decoding steps: each turns a window of the ranking into a smaller one, or into a mixture of
 * two. Mirrors `breadth.rules.steps`.
 */

import { RuleError } from "./error.ts";
import { numberText, readNumber } from "./text.ts";
import type { Window } from "./window.ts";

/** One step of a rule, with its parameter `value`. */
export abstract class Step {
  abstract readonly name: string;
  /** The parameter's range, in words. */
  abstract readonly accepts: string;
  /** What the step keeps, in one line. */
  abstract readonly summary: string;
  /** Whether it always keeps the top of the ranking. */
  readonly isCutoff: boolean = true;
  /** The value at which the step does nothing, if it has one. */
  readonly neutral: number | undefined;

  constructor(readonly value: number) {}

  /** The step as it is written in a rule. */
  toString(): string {
    return `${this.name}=${numberText(this.value)}`;
  }

  /** Whether the step does nothing whatever the distribution. */
  get isNeutral(): boolean {
    return this.value === this.neutral;
  }

  /** Whether `value` is acceptable. */
  abstract inRange(): boolean;

  /** The windows that remain of `window`: one, or two of a mixture. */
  abstract apply(window: Window): Window[];
}

/** Divides the logits by T; 0 means greedy: the top token alone. */
export class Temperature extends Step {
  readonly name = "temperature";
  readonly accepts = "0 (greedy) or a number from 0.001 to 1000";
  readonly summary = "divide the logits by T; 0 is greedy";

  inRange(): boolean {
    return this.value === 0 || (this.value >= 1e-3 && this.value <= 1e3);
  }

  apply(window: Window): Window[] {
    if (this.value === 0) return [window.cut(window.low + 1)];
    return [window.with({ beta: window.beta / this.value })];
  }
}

/** Keeps the k most likely tokens and, as transformers does, every token tied with the k-th. */
export class TopK extends Step {
  readonly name = "top_k";
  readonly accepts = "a whole number ≥ 0; 0 keeps all";
  readonly summary: string = "keep the k most likely tokens (ties with the k-th too)";
  override readonly neutral = 0;
  protected readonly keepsTies: boolean = true;

  inRange(): boolean {
    return this.value >= 0 && Number.isInteger(this.value);
  }

  apply(window: Window): Window[] {
    const high = Math.min(window.low + this.value, window.high);
    if (!this.keepsTies) return [window.cut(high)];
    const mass = window.cumulative();
    const tied = mass.above(mass.gapAt(high));
    // Only the head knows ties; in the tail a gap is interpolated and its rank would drift.
    return [window.cut(tied <= mass.ranked.head ? Math.max(high, tied) : high)];
  }
}

/** Keeps exactly k tokens, the smaller ids first among ties, as llama.cpp does. */
export class ExactTopK extends TopK {
  override readonly summary = "keep exactly the k most likely tokens";
  protected override readonly keepsTies = false;
}

/** Keeps a token iff the mass strictly above it is below p (nucleus sampling, arXiv:1904.09751). */
export class TopP extends Step {
  readonly name = "top_p";
  readonly accepts = "a number from 0 to 1; 1 keeps all";
  readonly summary = "keep the smallest top set with mass ≥ p";
  override readonly neutral = 1;

  inRange(): boolean {
    return this.value >= 0 && this.value <= 1;
  }

  apply(window: Window): Window[] {
    const mass = window.cumulative();
    const below = mass.upto(window.low);
    return [window.cut(mass.reach(below + this.value * (mass.upto(window.high) - below)))];
  }
}

/** Keeps tokens at least `min_p` times as likely as the most likely one (arXiv:2407.01082). */
export class MinP extends Step {
  readonly name = "min_p";
  readonly accepts = "a number from 0 to 1; 0 keeps all";
  readonly summary = "keep tokens with p ≥ min_p × the largest p";
  override readonly neutral = 0;

  inRange(): boolean {
    return this.value >= 0 && this.value <= 1;
  }

  apply(window: Window): Window[] {
    const mass = window.cumulative();
    const gap = mass.gapAt(window.low + 1) - Math.log(this.value) / window.beta;
    return [window.cut(mass.above(gap))];
  }
}

/** Keeps tokens whose probability is at least a threshold, or else those tied with the top one. */
abstract class AbsoluteCutoff extends Step {
  readonly accepts = "a number from 0 to 1, 1 excluded; 0 keeps all";
  override readonly neutral = 0;

  inRange(): boolean {
    return this.value >= 0 && this.value < 1;
  }

  /** ln of the smallest probability kept. */
  abstract logThreshold(window: Window): number;

  apply(window: Window): Window[] {
    const mass = window.cumulative();
    const top = mass.gapAt(window.low + 1);
    const gap = -(this.logThreshold(window) + Math.log(window.mass())) / window.beta;
    return [window.cut(mass.above(Math.max(gap, top)))];
  }
}

/** Epsilon sampling: p ≥ ε (Hewitt et al., arXiv:2210.15191). */
export class EpsilonCutoff extends AbsoluteCutoff {
  readonly name = "epsilon_cutoff";
  readonly summary = "keep tokens with p ≥ ε";

  logThreshold(): number {
    return Math.log(this.value);
  }
}

/** Eta sampling: p ≥ min(ε, √ε·e^(−entropy)) (Hewitt et al., arXiv:2210.15191). */
export class EtaCutoff extends AbsoluteCutoff {
  readonly name = "eta_cutoff";
  readonly summary = "keep tokens with p ≥ min(ε, √ε·exp(−entropy))";

  logThreshold(window: Window): number {
    const epsilon = Math.log(this.value);
    return Math.min(epsilon, 0.5 * epsilon - window.entropy());
  }
}

/**
 * Keeps top tokens while their summed −p ln p stays within a share of the entropy
 * (arXiv:2509.02510). Looks at the 100 most likely tokens only, renormalised, as transformers does.
 */
export class TopH extends Step {
  readonly name = "top_h";
  readonly accepts = "a number from 0 to 1, 0 excluded";
  readonly summary = "keep top tokens (of 100) while their entropy terms sum to ≤ top_h × entropy";

  inRange(): boolean {
    return this.value > 0 && this.value <= 1;
  }

  apply(window: Window): Window[] {
    const mass = window.cumulative();
    const seen = Math.min(100, mass.ranked.vocabSize, window.high - window.low);
    const top = mass.gapAt(window.low + 1);
    const weight = new Float64Array(seen);
    for (let i = 0; i < seen; i++) {
      weight[i] = Math.exp(-window.beta * (mass.gapAt(window.low + 1 + i) - top));
    }
    const total = weight.reduce((sum, each) => sum + each, 0);
    const spent = new Float64Array(seen);
    let sum = 0;
    for (let i = 0; i < seen; i++) {
      const p = weight[i] / total;
      spent[i] = sum += p > 0 ? -p * Math.log(p) : 0;
    }
    let kept = 0;
    while (kept < seen && weight[kept] > 0 && spent[kept] <= this.value * sum) kept++;
    return [window.cut(window.low + kept)];
  }
}

/**
 * Keeps the tokens whose surprise is closest to the entropy, up to mass p (arXiv:2202.00666).
 * Surprise rises along the ranking, so the tokens within a distance of the entropy are a window.
 */
export class TypicalP extends Step {
  readonly name = "typical_p";
  readonly accepts = "a number from 0 to 1, 0 excluded; 1 keeps all";
  readonly summary =
    "keep tokens with surprise nearest the entropy, up to mass p; can drop the top ones";
  override readonly isCutoff = false;
  override readonly neutral = 1;

  inRange(): boolean {
    return this.value > 0 && this.value <= 1;
  }

  apply(window: Window): Window[] {
    const mass = window.cumulative();
    const total = window.mass();
    // Where surprise = entropy, as a gap: −ln p = β·gap + ln total.
    const centre = (window.entropy() - Math.log(total)) / window.beta;
    // Distances are differences of rounded numbers: those closer than this are taken as equal.
    const slack = 1e-12 * (1 + Math.abs(centre));
    const inside = (rank: number) => Math.min(Math.max(rank, window.low), window.high);
    const around = (distance: number): [number, number] => [
      inside(mass.above(centre - distance - slack)),
      inside(mass.above(centre + distance + slack)),
    ];
    const isEnough = (distance: number) => {
      const [low, high] = around(distance);
      return mass.upto(high) - mass.upto(low) >= this.value * total;
    };

    // The radius is the distance of some token. Walking away from the centre on either side,
    // distances grow, so bisection finds the nearest token on each side whose distance is enough.
    const split = inside(mass.above(centre));
    const upward = (step: number) => Math.abs(centre - mass.gapAt(Math.max(split - step, 1)));
    const downward = (step: number) =>
      Math.abs(mass.gapAt(Math.min(split + 1 + step, window.high)) - centre);
    let radius = Infinity;
    let nearest = Infinity;
    for (const [distance, length] of [
      [upward, split - window.low],
      [downward, window.high - split],
    ] as const) {
      const step = first(length, (at) => isEnough(distance(at)));
      if (step < length) radius = Math.min(radius, distance(step));
      if (length > 0) nearest = Math.min(nearest, distance(0));
    }
    // Rounding may leave even the farthest token short of all the mass: then nothing is dropped.
    const [low, high] = around(Math.max(radius, nearest));
    return [window.with({ low, high })];
  }
}

/** The smallest step in 0 … length − 1 that is good, or length; good stays good onwards. */
function first(length: number, isGood: (step: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isGood(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Keeps logits within n standard deviations of the largest (arXiv:2411.07641). */
export class TopNSigma extends Step {
  readonly name = "top_n_sigma";
  readonly accepts = "a number ≥ 0; 0 keeps all";
  readonly summary =
    "keep logits ≥ largest − n × standard deviation; the same at any temperature";
  override readonly neutral = 0;

  inRange(): boolean {
    return this.value >= 0 && this.value < Infinity;
  }

  apply(window: Window): Window[] {
    const { row, low, high } = window;
    const mass = window.cumulative();
    const { ranked } = mass;
    const isWhole = low === 0 && high === ranked.columns.nFinite[row];
    const sigma = isWhole ? ranked.columns.stdLogit[row] : ranked.spread(row, low, high);
    return [window.cut(mass.above(mass.gapAt(low + 1) + this.value * sigma))];
  }
}

/**
 * Exclude top choices: at times drops all but the least likely of the tokens above a threshold. As
 * in llama.cpp, with a probability of its own. With fewer than two above it nothing is dropped.
 */
export class Xtc extends Step {
  readonly name = "xtc";
  readonly accepts = "threshold:probability, both from 0 to 1, for example xtc=0.1:0.5";
  readonly summary =
    "with a probability, drop all tokens above a threshold but the least likely of them";
  override readonly isCutoff = false;

  constructor(
    value: number,
    readonly probability = 1,
  ) {
    super(value);
  }

  override toString(): string {
    return `xtc=${numberText(this.value)}:${numberText(this.probability)}`;
  }

  /** Never drops anything: two tokens cannot both exceed one half. */
  override get isNeutral(): boolean {
    return this.probability === 0 || this.value > 0.5;
  }

  inRange(): boolean {
    return [this.value, this.probability].every((number) => number >= 0 && number <= 1);
  }

  apply(window: Window): Window[] {
    const mass = window.cumulative();
    const gap = -(Math.log(this.value) + Math.log(window.mass())) / window.beta;
    const above = Math.min(mass.above(gap), window.high) - window.low;
    const dropped = window.with({
      low: window.low + Math.max(above - 1, 0),
      weight: window.weight * this.probability,
    });
    if (this.probability === 1) return [dropped];
    return [window.with({ weight: window.weight * (1 - this.probability) }), dropped];
  }
}

type StepKind = new (value: number, probability?: number) => Step;

/** Every decoding step by its name. */
export const STEPS: ReadonlyMap<string, StepKind> = new Map<string, StepKind>([
  ["temperature", Temperature],
  ["top_k", TopK],
  ["top_p", TopP],
  ["min_p", MinP],
  ["typical_p", TypicalP],
  ["epsilon_cutoff", EpsilonCutoff],
  ["eta_cutoff", EtaCutoff],
  ["top_h", TopH],
  ["top_n_sigma", TopNSigma],
  ["xtc", Xtc],
]);

/** What a step takes, in words. */
export function accepts(name: string): string {
  const kind = STEPS.get(name);
  return kind ? new kind(0).accepts : "";
}

/**
 * Read a step's parameter.
 *
 * @throws RuleError when it is no number or out of range
 */
export function parseStep(name: string, text: string): Step {
  const refuse = (reason: string) =>
    new RuleError(`${name}=${text}: ${reason}; ${name} takes ${accepts(name)}`);
  const kind = STEPS.get(name);
  if (!kind) throw new RuleError(`${name} is unknown`);
  const parts = name === "xtc" ? /^([^:]*):?(.*)$/s.exec(text)!.slice(1) : [text];
  const numbers = parts.map(readNumber);
  const [value, probability] = numbers;
  if (value === undefined || numbers.includes(undefined)) {
    throw refuse(name === "xtc" ? "not two numbers" : "not a number");
  }
  const step = new kind(value, probability);
  if (!step.inRange()) throw refuse("out of range");
  return step;
}
