/**
 * The event ranking: the end is one event, wherever it stands and however many tokens spell it.
 * Mirrors `breadth.events`.
 */

import type { Ranked } from "./ranked.ts";
import { END, type Trie } from "./trie.ts";

/** The valid events of every row, and the end tokens wherever they stand. Columns by row. */
export class Events {
  /** (P + 1,) where the events of each row stand. */
  readonly start: Int32Array;
  /** The child node that each event leads to. */
  readonly child: Int32Array;
  /** Its rank (1-based) once all end tokens but the best of the row are deleted. */
  readonly rank: Int32Array;
  /** Where its tokens begin among the valid tokens; they end where the next event's begin. */
  readonly first: Int32Array;
  /** Number of its tokens that are not forbidden. */
  readonly allowed: Int32Array;
  /** (P + 1,) where the end tokens of each row stand that are not forbidden, by rank. */
  readonly endStart: Int32Array;
  readonly endRank: Int32Array;
  /** Nats of logit below the row's top token. */
  readonly endGap: Float64Array;

  constructor(ranked: Ranked, trie: Trie) {
    const { validNode, validRank, strayLogit, strayRank } = ranked.columns;
    const ends: { rank: number; gap: number }[] = [];
    this.start = new Int32Array(ranked.length + 1);
    this.endStart = new Int32Array(ranked.length + 1);
    const first: number[] = [];
    for (let row = 0; row < ranked.length; row++) {
      const own: { rank: number; gap: number }[] = [];
      for (let index = ranked.validStart[row]; index < ranked.validStart[row + 1]; index++) {
        if (index === 0 || validNode[index] !== validNode[index - 1]) first.push(index);
        if (trie.token[validNode[index]] === END) {
          own.push({ rank: validRank[index], gap: ranked.validGap(row, index) });
        }
      }
      for (let index = ranked.strayStart[row]; index < ranked.strayStart[row + 1]; index++) {
        own.push({ rank: strayRank[index], gap: ranked.maxLogit(row) - strayLogit[index] });
      }
      ends.push(...own.filter(({ gap }) => gap < Infinity).sort((a, b) => a.rank - b.rank));
      this.start[row + 1] = first.length;
      this.endStart[row + 1] = ends.length;
    }
    this.first = Int32Array.from([...first, validNode.length]);
    this.endRank = Int32Array.from(ends, ({ rank }) => rank);
    this.endGap = Float64Array.from(ends, ({ gap }) => gap);
    this.child = Int32Array.from(first, (index) => validNode[index]);
    this.rank = new Int32Array(first.length);
    this.allowed = new Int32Array(first.length);
    for (let row = 0; row < ranked.length; row++) {
      for (let event = this.start[row]; event < this.start[row + 1]; event++) {
        this.rank[event] = this.eventRank(row, validRank[this.first[event]]);
        for (let index = this.first[event]; index < this.first[event + 1]; index++) {
          if (ranked.validGap(row, index) < Infinity) this.allowed[event]++;
        }
      }
    }
  }

  /** Number of end tokens of a row that are not forbidden. */
  endCount(row: number): number {
    return this.endStart[row + 1] - this.endStart[row];
  }

  /** Number of end tokens of a row among its top `rank` tokens. */
  endsUpto(row: number, rank: number): number {
    let low = this.endStart[row];
    let high = this.endStart[row + 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.endRank[middle] <= rank) low = middle + 1;
      else high = middle;
    }
    return low - this.endStart[row];
  }

  /** Where a token that is no deleted end token stands in the event ranking, by its rank. */
  eventRank(row: number, rank: number): number {
    return rank - Math.max(this.endsUpto(row, rank - 1) - 1, 0);
  }

  /**
   * What keeping the top events of a row means for its tokens: the rank of the last one kept, and
   * whether the end is among them, whose other tokens are then kept too.
   */
  topTokens(row: number, events: number): { last: number; hasEnd: boolean } {
    const begin = this.endStart[row];
    let pushed = 0;
    for (let index = begin + 1; index < this.endStart[row + 1]; index++) {
      if (this.endRank[index] - (index - begin) < events) pushed++;
    }
    const last = events + pushed;
    return { last, hasEnd: this.endCount(row) > 0 && this.endRank[begin] <= last };
  }

  /** Summed weight of a row's end tokens below a rank. */
  endMassBeyond(row: number, rank: number, beta: number): number {
    let mass = 0;
    for (let index = this.endStart[row + 1] - 1; index >= this.endStart[row]; index--) {
      if (this.endRank[index] <= rank) break;
      mass += Math.exp(-beta * this.endGap[index]);
    }
    return mass;
  }
}
