/** What a rule keeps at a prefix: a window of the ranking. Mirrors `breadth.rules.window`. */

import type { Mass, Masses } from "../mass.ts";

/** Ranks low + 1 … high of one row, each with probability ∝ exp(−β·gap). */
export class Window {
  /**
   * @param beta inverse temperature, > 0
   * @param weight probability of this window in a mixture; 1 unless a step flips a coin
   */
  constructor(
    readonly masses: Masses,
    readonly row: number,
    readonly beta: number,
    readonly low: number,
    readonly high: number,
    readonly weight = 1,
  ) {}

  /** The whole ranking of a row, at temperature 1. */
  static whole(masses: Masses, row: number): Window {
    return new Window(masses, row, 1, 0, masses.ranked.columns.nFinite[row]);
  }

  /** This window with some of its fields changed. */
  with(change: { beta?: number; low?: number; high?: number; weight?: number }): Window {
    const { masses, row } = this;
    const { beta, low, high, weight } = { ...this, ...change };
    return new Window(masses, row, beta, low, high, weight);
  }

  /** This window with at most the ranks up to `high`, and at least its top token. */
  cut(high: number): Window {
    const { masses, row, beta, low, weight } = this;
    return new Window(
      masses, row, beta, low, Math.max(Math.min(this.high, high), low + 1), weight,
    );
  }

  /** Whether the token at a rank is kept. */
  has(rank: number): boolean {
    return rank > this.low && rank <= this.high;
  }

  /** The row's cumulative mass, precise inside this window. */
  cumulative(): Mass {
    return this.masses.at(this.row, this.beta, this.low);
  }

  /** Summed weight of the kept tokens, relative to the anchor of `cumulative`. */
  mass(): number {
    const mass = this.cumulative();
    return mass.upto(this.high) - mass.upto(this.low);
  }

  /** ln of the kept tokens' summed weight: a kept token has ln q = −β·gap − this. */
  logMass(): number {
    const mass = this.cumulative();
    return Math.log(mass.upto(this.high) - mass.upto(this.low)) - this.beta * mass.anchor;
  }

  /** Entropy in nats of the distribution over the window. */
  entropy(): number {
    return this.cumulative().entropy(this.low, this.high);
  }
}
