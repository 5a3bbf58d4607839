/**
 * What a decoding rule makes of a probe: the exact probability of every answer, and where the rest
 * leaks. Mirrors `breadth.outcome`.
 */

import type { Events } from "./events.ts";
import type { Masses } from "./mass.ts";
import * as measures from "./measures.ts";
import type { Ranked } from "./ranked.ts";
import type { Rule } from "./rules/rule.ts";
import type { Trie } from "./trie.ts";
import { logAddExp } from "./trie.ts";

/** What an outcome is computed from. */
export interface Probe {
  readonly trie: Trie;
  readonly ranked: Ranked;
  readonly masses: Masses;
  readonly events: Events;
}

/** One rule on one probe. Columns have one entry per node of the trie; the root's are 0. */
export class Outcome {
  /**
   * @param edgeLogp ln q of the event that leads to the node; −Infinity where the rule drops it
   * @param edgeUniformLogp the same when each step samples uniformly from the kept tokens
   * @param edgeEventLogp the same when each step samples uniformly from the kept events
   * @param reachLogp ln of the probability that generation passes through the node
   * @param cutInTail whether at some prefix that the rule reaches its cut fell beyond the exact
   *   head, so that numbers may be off by about 1e-3
   */
  constructor(
    readonly probe: Probe,
    readonly rule: Rule,
    readonly edgeLogp: Float64Array,
    readonly edgeUniformLogp: Float64Array,
    readonly edgeEventLogp: Float64Array,
    readonly reachLogp: Float64Array,
    readonly cutInTail: boolean,
  ) {}

  private get trie(): Trie {
    return this.probe.trie;
  }

  private readonly cache = new Map<string, unknown>();

  /** A value that is computed once, when it is first asked for. */
  private once<T>(name: string, compute: () => T): T {
    if (!this.cache.has(name)) this.cache.set(name, compute());
    return this.cache.get(name) as T;
  }

  /** ln q(y) of every answer: its sequences add up. */
  get answerLogp(): Float64Array {
    return this.once("answerLogp", () => this.trie.byAnswer(this.reachLogp));
  }

  /** Val = Σ q(y). */
  get validity(): number {
    return this.once("validity", () => measures.validity(this.answerLogp));
  }

  /** Div = exp(H(q | V)) / |V|. */
  get diversity(): number {
    return this.once("diversity", () => measures.diversity(this.answerLogp));
  }

  /** The share of answers that survive the cutoff. */
  get recall(): number {
    return measures.recall(this.answerLogp);
  }

  /** P(valid) when each step samples uniformly from the kept tokens. */
  get precision(): number {
    return this.once("precision", () => this.uniformValidity(this.edgeUniformLogp));
  }

  /** P(valid) when each step samples uniformly from the kept events. */
  get eventPrecision(): number {
    return this.once("eventPrecision", () => this.uniformValidity(this.edgeEventLogp));
  }

  private uniformValidity(edgeLogp: Float64Array): number {
    return measures.validity(this.trie.byAnswer(this.trie.alongPaths(edgeLogp)));
  }

  /** Expected number of distinct valid answers among n independent samples. */
  distinct(n: number): number {
    return measures.expectedDistinct(this.answerLogp, n);
  }

  /** Expected distinct valid answers in |V| samples, as a share of the ideal sampler's. */
  get coverage(): number {
    return measures.coverage(this.answerLogp);
  }

  /** Fewest samples that are expected to give a share of the answers; null where none do. */
  samplesFor(share: number): number | null {
    return measures.samplesForDistinct(this.answerLogp, share);
  }

  /** At a prefix the probability that the next event is valid; NaN at a leaf. */
  get validMass(): Float64Array {
    return this.once("validMass", () => this.trie.overChildren(this.edgeLogp.map(Math.exp)));
  }

  /** Probability to leave the valid trie at each prefix: 1 − Val − `unknown` in all. */
  get leak(): Float64Array {
    return this.once("leak", () => {
      const { ranked, trie } = this.probe;
      const leak = new Float64Array(trie.length);
      for (const node of ranked.columns.node) {
        leak[node] = Math.exp(this.reachLogp[node]) * Math.max(1 - this.validMass[node], 0);
      }
      return leak;
    });
  }

  /**
   * Probability to come to a prefix that was left out: 0 where none was. Validity is then between
   * `validity` and this much more; other measures are those of the answers that remain.
   */
  get unknown(): number {
    const { ranked, trie } = this.probe;
    if (ranked.length === trie.length - trie.leaves.length) return 0;
    let sum = 0;
    for (let node = 1; node < trie.length; node++) {
      const isBorder = trie.isPrefix(node) && ranked.rowOf(node) === undefined;
      if (isBorder) sum += Math.exp(this.reachLogp[node]);
    }
    return sum;
  }

  /** Share of the kept events that are valid, at each prefix; NaN at a leaf. */
  get localPrecision(): Float64Array {
    return this.once("localPrecision", () =>
      this.trie.overChildren(this.edgeEventLogp.map(Math.exp)),
    );
  }

  /** Share of the answers below each prefix whose next event is kept; NaN at a leaf. */
  get localRecall(): Float64Array {
    return this.once("localRecall", () => {
      const { weight } = this.trie;
      const kept = weight.map((each, node) => (this.edgeLogp[node] > -Infinity ? each : 0));
      return this.trie.overChildren(kept).map((each, node) => each / weight[node]);
    });
  }
}

/** Apply a rule. */
export function evaluate(probe: Probe, rule: Rule): Outcome {
  const { trie, ranked } = probe;
  const edges = new Edges(probe, rule);
  for (let row = 0; row < ranked.length; row++) edges.place(row);
  const reach = trie.alongPaths(edges.logp);
  const cut = edges.tailNodes.some((node) => reach[node] > -Infinity);
  return new Outcome(probe, rule, edges.logp, edges.uniform, edges.event, reach, cut);
}

/** The columns of an outcome while they are filled, row by row. */
class Edges {
  readonly logp: Float64Array;
  readonly uniform: Float64Array;
  readonly event: Float64Array;
  readonly tailNodes: number[] = [];

  constructor(
    private readonly probe: Probe,
    private readonly rule: Rule,
  ) {
    const column = () => new Float64Array(probe.trie.length).fill(-Infinity).fill(0, 0, 1);
    this.logp = column();
    this.uniform = column();
    this.event = column();
  }

  /** Fill in the events of a row. */
  place(row: number): void {
    switch (this.rule.oracle) {
      case "oracle_size":
        return this.topEvents(row);
      case "oracle_validity":
        return this.oracleValidity(row);
      case "oracle_shape":
        return this.oracleShape(row);
      default:
        return this.underWindows(row);
    }
  }

  private underWindows(row: number): void {
    const { ranked, events, masses } = this.probe;
    const { validRank, nFinite } = ranked.columns;
    let isInTail = false;
    for (const window of this.rule.windows(masses, row)) {
      const { beta, low, high } = window;
      const logWeight = Math.log(window.weight);
      const logMass = window.logMass();
      const tokens = high - low;
      // Kept end tokens are one event together, also where the end is not valid.
      const ends = events.endsUpto(row, high) - events.endsUpto(row, low);
      const logTokens = Math.log(tokens);
      const logEvents = Math.log(tokens - Math.max(ends - 1, 0));
      for (let event = events.start[row]; event < events.start[row + 1]; event++) {
        let kept = 0;
        let best = 0;
        let sum = 0;
        for (let index = events.first[event]; index < events.first[event + 1]; index++) {
          const rank = validRank[index];
          if (rank <= low || rank > high) continue;
          const gap = ranked.validGap(row, index);
          if (kept++ === 0) best = gap;
          sum += gap === best ? 1 : Math.exp(-beta * (gap - best));
        }
        if (kept === 0) continue;
        const logSum = sum === 1 ? -beta * best : -beta * best + Math.log(sum);
        const child = events.child[event];
        this.logp[child] = logAddExp(this.logp[child], logWeight + logSum - logMass);
        const uniform = logWeight + Math.log(kept) - logTokens;
        this.uniform[child] = logAddExp(this.uniform[child], uniform);
        this.event[child] = logAddExp(this.event[child], logWeight - logEvents);
      }
      isInTail ||= low > ranked.head || (high > ranked.head && high < nFinite[row]);
    }
    if (isInTail) this.tailNodes.push(ranked.columns.node[row]);
  }

  /** Oracle size: as many of the top events are kept as there are valid ones. */
  private topEvents(row: number): void {
    const { trie, ranked, events, masses } = this.probe;
    const { node, nFinite } = ranked.columns;
    const { temperature } = this.rule;
    const deleted = Math.max(events.endCount(row) - 1, 0);
    // Forbidden events are never kept.
    const count = Math.min(trie.childCount[node[row]], nFinite[row] - deleted);
    const { last, hasEnd } = events.topTokens(row, count);
    const beta = 1 / temperature;
    const logMass =
      temperature > 0
        ? Math.log(
            masses.at(row, beta, 0).upto(last) +
              (hasEnd ? events.endMassBeyond(row, last, beta) : 0),
          )
        : NaN;
    for (let event = events.start[row]; event < events.start[row + 1]; event++) {
      const child = events.child[event];
      const rank = events.rank[event];
      if (temperature === 0 && rank === 1) this.logp[child] = 0;
      if (rank > count || events.allowed[event] === 0) continue;
      if (temperature > 0) this.logp[child] = this.logWeight(row, event, beta) - logMass;
      const tokens = count + (hasEnd ? deleted : 0);
      this.uniform[child] = Math.log(events.allowed[event]) - Math.log(tokens);
      this.event[child] = -Math.log(count);
    }
    if (last > ranked.head) this.tailNodes.push(node[row]);
  }

  /** ln Σ exp(−β·gap) over the tokens of an event. */
  private logWeight(row: number, event: number, beta: number): number {
    const { ranked, events } = this.probe;
    const first = events.first[event];
    const best = ranked.validGap(row, first);
    if (best === Infinity) return -Infinity;
    let sum = 1;
    for (let index = first + 1; index < events.first[event + 1]; index++) {
      sum += Math.exp(-beta * (ranked.validGap(row, index) - best));
    }
    return sum === 1 ? -beta * best : -beta * best + Math.log(sum);
  }

  private oracleValidity(row: number): void {
    const { events } = this.probe;
    const { temperature } = this.rule;
    const all = range(events.start[row], events.start[row + 1]);
    if (temperature === 0) {
      const best = Math.min(...all.map((event) => events.rank[event]));
      for (const event of all) {
        if (events.rank[event] === best) this.logp[events.child[event]] = 0;
      }
    } else {
      const weights = all.map((event) => this.logWeight(row, event, 1 / temperature));
      const total = weights.reduce(logAddExp, -Infinity);
      // Where the model forbids every valid token there is nothing to share out.
      if (total > -Infinity) {
        all.forEach((event, place) => {
          this.logp[events.child[event]] = weights[place] - total;
        });
      }
    }
    this.allValid(all, (event) => events.allowed[event]);
  }

  private oracleShape(row: number): void {
    const { trie, ranked, events } = this.probe;
    const all = range(events.start[row], events.start[row + 1]);
    const whole = Math.log(trie.weight[ranked.columns.node[row]]);
    for (const event of all) {
      const child = events.child[event];
      this.logp[child] = Math.log(trie.weight[child]) - whole;
    }
    this.allValid(all, (event) => events.first[event + 1] - events.first[event]);
  }

  /** An oracle that keeps the valid tokens, so many of each event, and nothing else. */
  private allValid(all: readonly number[], tokens: (event: number) => number): void {
    const total = all.reduce((sum, event) => sum + tokens(event), 0);
    const kept = all.filter((event) => tokens(event) > 0);
    for (const event of kept) {
      const child = this.probe.events.child[event];
      this.uniform[child] = Math.log(tokens(event) / total);
      this.event[child] = -Math.log(kept.length);
    }
  }
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, place) => from + place);
}
