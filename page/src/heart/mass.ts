/**
 * Cumulative mass along a ranking, at one inverse temperature. Mirrors `breadth.mass`, one row at a
 * time, and sums only as far as it is asked: to keep fifty tokens takes fifty exponentials.
 */

import { meanPosition, type Ranked, segmentMean } from "./ranked.ts";

/** A tail segment: corrected weight at its upper end, drop in nats, token count. */
interface Segment {
  upper: number;
  drop: number;
  count: number;
}

/**
 * Weights exp(−β·gap) of one row's tokens, summed along the ranking.
 *
 * A gap is the number of nats that a token's logit lies below the anchor; tokens above it have
 * gap 0. The anchor is the top token, unless a window starts so far below it that all its weight
 * might be less than the rounding of the weights above.
 */
export class Mass {
  private readonly gaps: Float64Array;
  private readonly base: number;
  private readonly head: number;
  private known = 0;

  /** @param sums room for knots + 1 sums; the first is 0 and stays so */
  constructor(
    readonly ranked: Ranked,
    readonly row: number,
    readonly beta: number,
    readonly anchor: number,
    private readonly sums: Float64Array,
  ) {
    this.gaps = ranked.knotGap;
    this.base = row * ranked.knots;
    this.head = ranked.head;
    sums[0] = 0;
  }

  private get nFinite(): number {
    return this.ranked.columns.nFinite[this.row];
  }

  /** Gap at a knot, counted from 0. */
  private knotGap(knot: number): number {
    return Math.max(this.gaps[this.base + knot] - this.anchor, 0);
  }

  private segment(index: number): Segment {
    const { ranked, row, beta, head } = this;
    const above = this.knotGap(head - 1 + index);
    const drop = this.knotGap(head + index) - above;
    // The correction holds at temperature 1; elsewhere its power β does, as far as it leaves the
    // mean weight below the weight at the upper end.
    const correction = Math.exp(beta * this.correction(index));
    const upper = Math.exp(-beta * above) * Math.min(correction, 1 / segmentMean(beta * drop));
    return { upper, drop, count: ranked.tailCount(row, index) };
  }

  private correction(index: number): number {
    const { tailRank, tailCorrection } = this.ranked.columns;
    return tailCorrection[this.row * tailRank.length + index];
  }

  /** Mass of the ranks up to a knot. */
  private sum(knot: number): number {
    const { sums, gaps, base, beta, anchor, head } = this;
    if (knot > this.known) {
      let total = sums[this.known];
      const inHead = Math.min(knot, head);
      for (let k = this.known; k < inHead; k++) {
        total += Math.exp(-beta * Math.max(gaps[base + k] - anchor, 0));
        sums[k + 1] = total;
      }
      const first = Math.max(this.known, head);
      let weight = first < knot ? Math.exp(-beta * this.knotGap(first - 1)) : 0;
      for (let k = first; k < knot; k++) {
        // `upper` × `segmentMean`, as in `segment`, with fewer exponentials.
        const fall = beta * (this.knotGap(k) - this.knotGap(k - 1));
        const change = Math.expm1(-fall);
        const mean = fall > 1e-8 ? -change / fall : 1 - 0.5 * fall;
        const corrected = mean * Math.exp(beta * this.correction(k - head));
        total += weight * Math.min(corrected, 1) * this.ranked.tailCount(this.row, k - head);
        weight += weight * change;
        sums[k + 1] = total;
      }
      this.known = knot;
    }
    return sums[knot];
  }

  /** Mass of the whole vocabulary. */
  get total(): number {
    return this.sum(this.ranked.knots);
  }

  /** Mass of the top `rank` tokens, 0 … nFinite. */
  upto(rank: number): number {
    rank = Math.min(rank, this.nFinite);
    if (rank <= this.head) return this.sum(rank);
    const index = this.ranked.segmentOf(rank);
    const { upper, drop, count } = this.segment(index);
    const part = (rank - this.ranked.tailEnd(this.row, index - 1)) / count;
    const inside = upper * segmentMean(this.beta * drop * part) * part * count;
    return this.sum(this.head + index) + inside;
  }

  /** The smallest rank whose cumulative mass is at least `target`; nFinite if there is none. */
  reach(target: number): number {
    const { knots } = this.ranked;
    if (this.total < target) return this.nFinite;
    let low = 0;
    let high = knots;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.sums[middle] < target) low = middle + 1;
      else high = middle;
    }
    if (low <= this.head) return Math.min(low, this.nFinite);
    const index = low - 1 - this.head;
    const { upper, drop, count } = this.segment(index);
    const share = (target - this.sums[low - 1]) / Math.max(upper * count, TINY);
    // Solve (1 − e^(−fall·x)) / fall = share for the fraction x of the segment.
    const fall = this.beta * drop;
    const inside = Math.min(Math.max(1 - share * fall, TINY), 1);
    const part = fall > 1e-8 ? -Math.log(inside) / fall : share;
    const place = Math.min(Math.max(Math.ceil(part * count), 1), count);
    return this.ranked.tailEnd(this.row, index - 1) + place;
  }

  /** Number of tokens with a finite logit whose gap is at most `gap`. */
  above(gap: number): number {
    const { knots } = this.ranked;
    let low = 0;
    let high = knots;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.knotGap(middle) <= gap) low = middle + 1;
      else high = middle;
    }
    if (low === knots || low < this.head) {
      return Math.min(low === knots ? this.ranked.vocabSize : low, this.nFinite);
    }
    const index = low - this.head;
    const count = this.ranked.tailCount(this.row, index);
    const upper = this.knotGap(low - 1);
    const drop = this.knotGap(low) - upper;
    const part = (gap - upper) / (drop > 0 ? drop : 1);
    const place = Math.min(Math.max(Math.floor(part * count), 0), count);
    return Math.min(this.ranked.tailEnd(this.row, index - 1) + place, this.nFinite);
  }

  /** Gap of the token at `rank`, 1 … nFinite. */
  gapAt(rank: number): number {
    if (rank <= this.head) return this.knotGap(rank - 1);
    const index = this.ranked.segmentOf(rank);
    const upper = this.knotGap(this.head - 1 + index);
    const drop = this.knotGap(this.head + index) - upper;
    const first = this.ranked.tailEnd(this.row, index - 1);
    return upper + (drop * (rank - first)) / this.ranked.tailCount(this.row, index);
  }

  /** Sum of weight × gap of the top `rank` tokens. */
  private momentUpto(rank: number): number {
    const { ranked, row, beta, head, sums } = this;
    rank = Math.min(rank, this.nFinite);
    const inHead = Math.min(rank, head);
    const last = rank > head ? ranked.segmentOf(rank) : -1;
    this.sum(inHead + Math.max(last, 0));
    let moment = 0;
    for (let k = 0; k < inHead; k++) moment += (sums[k + 1] - sums[k]) * this.knotGap(k);
    for (let index = 0; index <= last; index++) {
      const above = this.knotGap(head - 1 + index);
      const size = Math.min(ranked.tailEnd(row, index), rank) - ranked.tailEnd(row, index - 1);
      const part = size / ranked.tailCount(row, index);
      const drop = (this.knotGap(head + index) - above) * part;
      const mean = above + drop * meanPosition(beta * drop) - this.correction(index);
      const upto = index < last ? sums[head + index + 1] : this.upto(rank);
      const mass = upto - sums[head + index];
      moment += mass * Math.max(mean, above);
    }
    return moment;
  }

  /** Entropy in nats of the distribution renormalised over ranks low + 1 … high. */
  entropy(low: number, high: number): number {
    const mass = this.upto(high) - this.upto(low);
    const moment = this.momentUpto(high) - (low > 0 ? this.momentUpto(low) : 0);
    // −Σ p ln p with ln p = −β·gap − ln mass; rounding may leave −1e−17 where one token is left.
    return Math.max(Math.log(mass) + (this.beta * moment) / mass, 0);
  }
}

/** The smallest normal float64. */
const TINY = 2 ** -1022;

/** A window whose top token lies further than this below the ranking's, in nats, is anchored. */
const NEGLIGIBLE = 7;

/** The `Mass` of every row of a run at any inverse temperature; remembers the last few. */
export class Masses {
  private readonly known = new Map<number, { sums: Float64Array; rows: (Mass | undefined)[] }>();

  constructor(
    readonly ranked: Ranked,
    private readonly remember = 3,
  ) {}

  /** A row's mass at inverse temperature `beta`, precise for windows that start after `low`. */
  at(row: number, beta: number, low: number): Mass {
    const { ranked } = this;
    const { sums, rows } = this.known.get(beta) ?? this.begin(beta);
    const size = ranked.knots + 1;
    const mass = (rows[row] ??= new Mass(
      ranked, row, beta, 0, sums.subarray(row * size, (row + 1) * size),
    ));
    if (low === 0) return mass;
    const anchor = mass.gapAt(low + 1);
    if (beta * anchor <= NEGLIGIBLE) return mass;
    return new Mass(ranked, row, beta, anchor, new Float64Array(size));
  }

  /** Room for another temperature: that of the one begun first, once there are enough. */
  private begin(beta: number): { sums: Float64Array; rows: (Mass | undefined)[] } {
    const { ranked, known, remember } = this;
    const oldest = known.size >= remember ? known.keys().next().value : undefined;
    const sums = oldest === undefined ? undefined : known.get(oldest)?.sums;
    if (oldest !== undefined) known.delete(oldest);
    const fresh = {
      sums: sums ?? new Float64Array(ranked.length * (ranked.knots + 1)),
      rows: new Array<Mass | undefined>(ranked.length),
    };
    known.set(beta, fresh);
    return fresh;
  }
}
