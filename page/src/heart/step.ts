/** What one prefix shows: its top events and all valid ones, and what a rule makes of each. */

import type { Outcome } from "./outcome.ts";
import { END } from "./trie.ts";

/** A valid event with less than this part of its fair share is rare. */
export const RARE = 0.1;

/** One event of the ranking. */
export interface Place {
  /** In the event ranking, 1-based. */
  readonly rank: number;
  /** The token, or `END`. */
  readonly token: number;
  /** The node it leads to, or −1 where it leaves the valid answers. */
  readonly child: number;
  /** Logit, of the end that of its best token. */
  readonly logit: number;
  /** Probability at the rule's temperature (1 if greedy), before anything is cut. */
  readonly before: number;
  /** Probability under the rule. */
  readonly probability: number;
  /** Whether the rule keeps it: 0 or 1, or between where it flips a coin. */
  readonly kept: number;
  /** Its share if all answers were equally likely, N(u·v)/N(u); 0 if it is not valid. */
  readonly fair: number;
  /** Valid, valid and `RARE` before anything is cut, or neither. */
  readonly status: "valid" | "rare" | "invalid";
}

/** The event ranking at a prefix under a rule. */
export interface StepView {
  readonly node: number;
  /** The top events and all valid ones, by rank; between them some may be missing. */
  readonly places: readonly Place[];
  /** What is kept: events low + 1 … high, with a weight in the mixture; empty if not a window. */
  readonly windows: readonly { low: number; high: number; weight: number }[];
  /** Number of events that the model allows. */
  readonly events: number;
  /** Probability under the rule that the next event is valid. */
  readonly validMass: number;
  /** Probability under the rule of the events that `places` does not list. */
  readonly rest: number;
}

/** An event before the rule is asked about it; its tokens by rank. */
interface Event {
  readonly token: number;
  readonly child: number;
  readonly tokens: readonly { rank: number; gap: number }[];
}

/** What a rule does at a prefix, and without any cut; undefined where the prefix was left out. */
export function stepAt(outcome: Outcome, node: number): StepView | undefined {
  const { probe, rule } = outcome;
  const { trie, ranked, events, masses } = probe;
  const row = ranked.rowOf(node);
  if (row === undefined) return undefined;
  const beta = 1 / (rule.temperature || 1);
  const total = masses.at(row, beta, 0).total;
  const places = listed(outcome, row).map((event): Place => {
    const { token, child, tokens } = event;
    const rank = events.eventRank(row, tokens[0].rank);
    const before = sum(tokens.map(({ gap }) => Math.exp(-beta * gap))) / total;
    const fair = child < 0 ? 0 : trie.weight[child] / trie.weight[node];
    return {
      rank,
      token,
      child,
      logit: ranked.maxLogit(row) - tokens[0].gap,
      before,
      ...underRule(outcome, row, event, rank),
      fair,
      status: child < 0 ? "invalid" : before < RARE * fair ? "rare" : "valid",
    };
  });
  places.sort((a, b) => a.rank - b.rank);
  const deleted = (rank: number) => Math.max(events.endsUpto(row, rank) - 1, 0);
  const windows = rule.oracle
    ? []
    : rule.windows(masses, row).map(({ low, high, weight }) => ({
        low: low - deleted(low),
        high: high - deleted(high),
        weight,
      }));
  const count = ranked.columns.nFinite[row] - Math.max(events.endCount(row) - 1, 0);
  if (rule.oracle === "oracle_size") {
    windows.push({ low: 0, high: Math.min(trie.childCount[node], count), weight: 1 });
  }
  return {
    node,
    places,
    windows,
    events: count,
    validMass: outcome.validMass[node],
    rest: Math.max(1 - sum(places.map(({ probability }) => probability)), 0),
  };
}

/** The top events whose tokens are named, and all valid ones. */
function listed(outcome: Outcome, row: number): Event[] {
  const { trie, ranked, events } = outcome.probe;
  const { headToken, headLogit, validToken, validRank } = ranked.columns;
  const ends: { rank: number; gap: number }[] = [];
  for (let index = events.endStart[row]; index < events.endStart[row + 1]; index++) {
    ends.push({ rank: events.endRank[index], gap: events.endGap[index] });
  }
  const valid: Event[] = [];
  for (let event = events.start[row]; event < events.start[row + 1]; event++) {
    const index = events.first[event];
    const child = events.child[event];
    const only = { rank: validRank[index], gap: ranked.validGap(row, index) };
    const isEnd = trie.token[child] === END;
    const tokens = isEnd && ends.length ? ends : [only];
    valid.push({ token: isEnd ? END : validToken[index], child, tokens });
  }
  const known = new Set([...trie.endTokens, ...valid.map(({ token }) => token)]);
  const invalid: Event[] = [];
  for (let rank = 1; rank <= Math.min(ranked.named, ranked.columns.nFinite[row]); rank++) {
    const token = headToken[row * ranked.named + rank - 1];
    const gap = ranked.maxLogit(row) - headLogit[row * ranked.head + rank - 1];
    if (!known.has(token)) invalid.push({ token, child: -1, tokens: [{ rank, gap }] });
  }
  const endIsValid = valid.some(({ token }) => token === END);
  if (!endIsValid && ends.length) invalid.push({ token: END, child: -1, tokens: ends });
  return [...valid, ...invalid];
}

/** Probability of an event under the rule, and whether it is kept. */
function underRule(
  outcome: Outcome,
  row: number,
  event: Event,
  rank: number,
): { probability: number; kept: number } {
  const { probe, rule } = outcome;
  const { trie, ranked, events, masses } = probe;
  const { child, tokens } = event;
  const q = child < 0 ? 0 : Math.exp(outcome.edgeLogp[child]);
  if (rule.oracle === "oracle_size") {
    const deleted = Math.max(events.endCount(row) - 1, 0);
    const g = trie.childCount[ranked.columns.node[row]];
    const count = Math.min(g, ranked.columns.nFinite[row] - deleted);
    const kept = rank <= count && tokens[0].gap < Infinity ? 1 : 0;
    if (child >= 0 || !kept) return { probability: q, kept };
    if (rule.temperature === 0) return { probability: rank === 1 ? 1 : 0, kept };
    const beta = 1 / rule.temperature;
    const { last, hasEnd } = events.topTokens(row, count);
    const beyond = hasEnd ? events.endMassBeyond(row, last, beta) : 0;
    const mass = masses.at(row, beta, 0).upto(last) + beyond;
    return { probability: sum(tokens.map(({ gap }) => Math.exp(-beta * gap))) / mass, kept };
  }
  if (rule.oracle) return { probability: q, kept: child < 0 ? 0 : 1 };
  let probability = 0;
  let kept = 0;
  for (const window of rule.windows(masses, row)) {
    const inside = tokens.filter((token) => window.has(token.rank));
    if (!inside.length) continue;
    const logMass = window.logMass();
    kept += window.weight;
    probability +=
      window.weight * sum(inside.map(({ gap }) => Math.exp(-window.beta * gap - logMass)));
  }
  return { probability, kept };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, each) => total + each, 0);
}
