/**
 * Next-token distributions kept small: exact where it matters, sketched in the tail. Mirrors
 * `breadth.ranked`, with the shorter head and the longer segments that the page carries.
 */

/** Largest gap kept at a knot, in nats: weighs 0 up to temperature 1000. Stands in for infinity. */
const FLOOR = 1e6;

/** Columns of the distributions at P prefixes; ragged ones by the count of entries in each row. */
export interface RankedColumns {
  /** (P,) the prefix, ascending: id of an inner node of the trie. */
  node: Int32Array;
  /** (P, m) the top m logits, descending. */
  headLogit: Float32Array;
  /** (P, named) ids of the top tokens. */
  headToken: Int32Array;
  /** (s,) last rank of each tail segment. */
  tailRank: Int32Array;
  /** (P, s) logit at the last rank of each segment, or at the last finite one. */
  tailLogit: Float32Array;
  /** (P, s) ln of a segment's mean weight over the one its end logits give, at temperature 1. */
  tailCorrection: Float32Array;
  /** (P,) population standard deviation of all finite logits. */
  stdLogit: Float32Array;
  /** (P,) number of tokens with a finite logit; the others are forbidden. */
  nFinite: Int32Array;
  /** (P,) number of valid tokens; theirs are the columns below, by child and then by rank. */
  validCount: Int32Array;
  validNode: Int32Array;
  validToken: Int32Array;
  validLogit: Float32Array;
  validRank: Int32Array;
  /** Place among the tokens with the very same logit, 1-based, and how many those are. */
  validPlace: Int32Array;
  validTies: Int32Array;
  /** (P,) number of end tokens at prefixes where no answer stops; their columns, by rank. */
  strayCount: Int32Array;
  strayLogit: Float32Array;
  strayRank: Int32Array;
}

/** The ranked next-token distributions at all prefixes of a run. Ranks are 1-based. */
export class Ranked {
  /** Number of prefixes P. */
  readonly length: number;
  /** Number of top logits that are exact. */
  readonly head: number;
  /** Number of top tokens whose ids are kept. */
  readonly named: number;
  /** Number of ranks whose logit is known: the head, then the end of every tail segment. */
  readonly knots: number;
  /** (P, knots) nats of logit below the row's top token. */
  readonly knotGap: Float64Array;
  /** (P + 1,) where the valid tokens of each row stand. */
  readonly validStart: Int32Array;
  /** (P + 1,) where the stray end tokens of each row stand. */
  readonly strayStart: Int32Array;
  private readonly rows: Map<number, number>;

  constructor(
    readonly vocabSize: number,
    readonly columns: RankedColumns,
  ) {
    const { node, headLogit, headToken, tailLogit, tailRank } = columns;
    this.length = node.length;
    this.head = headLogit.length / this.length;
    this.named = headToken.length / this.length;
    const tail = tailRank.length;
    this.knots = this.head + tail;
    this.knotGap = new Float64Array(this.length * this.knots);
    for (let row = 0; row < this.length; row++) {
      const first = row * this.knots;
      const top = headLogit[row * this.head];
      for (let k = 0; k < this.head; k++) {
        this.knotGap[first + k] = Math.min(top - headLogit[row * this.head + k], FLOOR);
      }
      for (let s = 0; s < tail; s++) {
        this.knotGap[first + this.head + s] = Math.min(top - tailLogit[row * tail + s], FLOOR);
      }
    }
    this.validStart = starts(columns.validCount);
    this.strayStart = starts(columns.strayCount);
    this.rows = new Map(Array.from(node, (id, row) => [id, row]));
  }

  /** The row of a prefix; undefined where it was left out. */
  rowOf(node: number): number | undefined {
    return this.rows.get(node);
  }

  /** The largest logit of a row. */
  maxLogit(row: number): number {
    return this.columns.headLogit[row * this.head];
  }

  /** Nats of logit of a valid token below the row's top token; Infinity if it is forbidden. */
  validGap(row: number, index: number): number {
    return this.maxLogit(row) - this.columns.validLogit[index];
  }

  /** Last rank with a finite logit of a tail segment; of segment −1 where the tail starts. */
  tailEnd(row: number, segment: number): number {
    if (segment < 0) return this.head;
    return Math.min(this.columns.tailRank[segment], Math.max(this.columns.nFinite[row], this.head));
  }

  /** Number of tokens with a finite logit in a tail segment. */
  tailCount(row: number, segment: number): number {
    return this.tailEnd(row, segment) - this.tailEnd(row, segment - 1);
  }

  /** The tail segment that holds a rank beyond the head. */
  segmentOf(rank: number): number {
    let low = 0;
    let high = this.columns.tailRank.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.columns.tailRank[middle] < rank) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Population standard deviation of the logits at ranks low + 1 … high ≤ nFinite. */
  spread(row: number, low: number, high: number): number {
    const [firstLow, secondLow] = this.gapSums(row, low);
    const [firstHigh, secondHigh] = this.gapSums(row, high);
    const mean = (firstHigh - firstLow) / (high - low);
    const square = (secondHigh - secondLow) / (high - low);
    return Math.sqrt(Math.max(square - mean * mean, 0));
  }

  /** Sums of the gaps and of their squares up to a rank, linear inside a tail segment. */
  private gapSums(row: number, rank: number): [number, number] {
    const base = row * this.knots;
    let first = 0;
    let second = 0;
    for (let k = 0; k < Math.min(rank, this.head); k++) {
      const gap = this.knotGap[base + k];
      first += gap;
      second += gap * gap;
    }
    for (let s = 0; this.tailEnd(row, s - 1) < rank; s++) {
      const upper = this.knotGap[base + this.head + s - 1];
      const drop = this.knotGap[base + this.head + s] - upper;
      const count = Math.min(this.tailEnd(row, s), rank) - this.tailEnd(row, s - 1);
      first += count * (upper + drop / 2);
      second += count * (upper * upper + upper * drop + (drop * drop) / 3);
    }
    return [first, second];
  }
}

function starts(count: Int32Array): Int32Array {
  const start = new Int32Array(count.length + 1);
  for (let row = 0; row < count.length; row++) start[row + 1] = start[row] + count[row];
  return start;
}

/** Mean of exp(−x·drop) for x uniform in [0, 1]: (1 − e^−drop) / drop, with its limit 1 at 0. */
export function segmentMean(drop: number): number {
  return drop > 1e-8 ? -Math.expm1(-drop) / drop : 1 - 0.5 * drop;
}

/** Mean of x in [0, 1] under the density ∝ exp(−fall·x): 1/fall − 1/(e^fall − 1). */
export function meanPosition(fall: number): number {
  return fall > 1e-4 ? 1 / fall - 1 / Math.expm1(Math.min(fall, 700)) : 0.5 - fall / 12;
}
