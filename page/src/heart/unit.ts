/** One model on one task, as the page carries it. Mirrors `breadth.study.Unit`. */

import { Events } from "./events.ts";
import { Masses } from "./mass.ts";
import { evaluate, type Outcome, type Probe } from "./outcome.ts";
import { Ranked, type RankedColumns } from "./ranked.ts";
import { parseRule, type Rule } from "./rules/rule.ts";
import { END, Trie } from "./trie.ts";

/** A rule that was tried on the full probe, with its scores there. */
export interface Tried {
  readonly rule: string;
  readonly engine: string | null;
  readonly family: string;
  readonly validity: number;
  readonly diversity: number;
}

/** What the page shows of a diagnosis: `breadth.diagnosis.Diagnosis`. */
export interface Diagnosed {
  readonly validity: number | null;
  readonly diversity: number | null;
  /** Validity → the most diverse rule tried there. */
  readonly best: Readonly<
    Record<string, { readonly rule: string; readonly diversity: number } | null>
  >;
  readonly oracle_size_validity: number | null;
  readonly bottleneck: string | null;
  readonly sentence: string | null;
}

/** What the page shows of an explanation: `breadth.explanation.Explanation`. */
export interface Explained {
  readonly rule: string;
  readonly coverage: number;
  readonly blame: { readonly order: number; readonly shape: number };
  readonly ladder: {
    readonly rule: number;
    readonly best: number;
    readonly best_rule: string;
    readonly ceiling: number | null;
    readonly status: string;
    readonly applies: boolean;
    readonly log_tuning: number | null;
    readonly log_reshaping: number | null;
    readonly log_order: number | null;
  };
  /** Validity → lower and upper bound of the most diversity there, and how they are known. */
  /** Validity and recall along the exact best of any cutoffs, one at every prefix, at temperature 1. */
  readonly cutoff_curve: readonly (readonly [number, number])[] | null;
  readonly diversity_ceilings: Readonly<
    Record<string, readonly [number | null, number | null, string]>
  >;
}

/** The header's entry of a run. */
export interface Facts {
  readonly model: string;
  readonly task: string;
  /** What the numbers come from: versions, prompt, settings, warnings. */
  readonly provenance: Readonly<Record<string, unknown>>;
  readonly vocab_size: number;
  readonly end_tokens: readonly number[];
  readonly answers: readonly string[];
  /** Bytes of the named tokens, one character a byte. */
  readonly token_bytes: readonly string[];
  readonly default_rule: { readonly rule: string; readonly engine: string | null };
  readonly rules: readonly Pick<Tried, "rule" | "engine" | "family">[];
  /** Number of prefixes that were left out, the least reached ones. */
  readonly left_out: number;
  /** What the run says blocks, and the numbers of the first table. */
  readonly diagnosis: Diagnosed;
  /** The account of a rule, where the run holds one. */
  readonly explanation: Explained | null;
}

/** Columns of a run, by name. */
export type Columns = Readonly<Record<string, Int32Array | Float32Array>>;

/** A run: its answers, its distributions, and what was tried on the full probe. */
export class Unit implements Probe {
  readonly trie: Trie;
  readonly ranked: Ranked;
  readonly masses: Masses;
  readonly events: Events;
  readonly tried: readonly Tried[];
  readonly defaultRule: Rule;
  private readonly tokens: ReadonlyMap<number, Uint8Array>;

  constructor(
    readonly facts: Facts,
    columns: Columns,
  ) {
    const ints = (name: string) => columns[name] as Int32Array;
    const floats = (name: string) => columns[name] as Float32Array;
    this.trie = new Trie(
      ints("parent"),
      ints("token"),
      ints("answer"),
      ints("complete"),
      facts.answers.length,
      facts.end_tokens,
    );
    const ranked: RankedColumns = {
      node: ints("node"),
      headLogit: floats("head_logit"),
      headToken: ints("head_token"),
      tailRank: ints("tail_rank"),
      tailLogit: floats("tail_logit"),
      tailCorrection: floats("tail_correction"),
      stdLogit: floats("std_logit"),
      nFinite: ints("n_finite"),
      validCount: ints("valid_count"),
      validNode: ints("valid_node"),
      validToken: ints("valid_token"),
      validLogit: floats("valid_logit"),
      validRank: ints("valid_rank"),
      validPlace: ints("valid_place"),
      validTies: ints("valid_ties"),
      strayCount: ints("stray_count"),
      strayLogit: floats("stray_logit"),
      strayRank: ints("stray_rank"),
    };
    this.ranked = new Ranked(facts.vocab_size, ranked);
    this.masses = new Masses(this.ranked);
    this.events = new Events(this.ranked, this.trie);
    this.tokens = new Map(
      facts.token_bytes.map((bytes, index) => [
        ints("token_id")[index],
        Uint8Array.from(bytes, (character) => character.charCodeAt(0)),
      ]),
    );
    this.tried = facts.rules.map((rule, index) => ({
      ...rule,
      validity: floats("validity")[index],
      diversity: floats("diversity")[index],
    }));
    this.defaultRule = parseRule(facts.default_rule.rule, facts.default_rule.engine ?? undefined);
  }

  get model(): string {
    return this.facts.model;
  }

  get task(): string {
    return this.facts.task;
  }

  get answers(): readonly string[] {
    return this.facts.answers;
  }

  /** Apply a rule, which may be written as text. */
  outcome(rule: Rule | string): Outcome {
    return evaluate(this, typeof rule === "string" ? parseRule(rule) : rule);
  }

  /** A token as a person reads it; the end is `⏹`, unknown bytes are `�`. */
  tokenText(token: number): string {
    return token === END ? "⏹" : text([this.bytes(token)]) || `<${token}>`;
  }

  /** The text of the answer so far at a node, with `⏹` where it has ended; empty at the root. */
  prefixText(node: number): string {
    const path = this.trie.path(node).map((each) => this.trie.token[each]);
    const own = path.filter((token) => token !== END);
    return text(own.map((token) => this.bytes(token))) + (own.length < path.length ? "⏹" : "");
  }

  private bytes(token: number): Uint8Array {
    return this.tokens.get(token) ?? new Uint8Array();
  }
}

/** Bytes as text; what is no UTF-8 is `�`. */
function text(parts: readonly Uint8Array[]): string {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return parts.map((part) => decoder.decode(part, { stream: true })).join("") + decoder.decode();
}
