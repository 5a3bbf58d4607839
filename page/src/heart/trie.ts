/** The answers as a trie of tokens: frozen columns, one entry a node. Mirrors `breadth.trie`. */

/** Token of the root, which no token leads to. */
export const ROOT = -1;

/** Token of a node reached by any of the end tokens, counted together as one event. */
export const END = -2;

/**
 * Valid prefixes (inner nodes) and finished sequences (leaves), in depth-first order: a node's id
 * is smaller than those of its descendants, which follow it without a gap.
 */
export class Trie {
  /** Number of events from the root; the end counts as one. */
  readonly depth: Int32Array;
  /** N(u): how many answers extend each node; one of an answer's s sequences counts 1/s. */
  readonly weight: Float64Array;
  /** g(u): number of valid events at each node, 0 at leaves. */
  readonly childCount: Int32Array;
  /** Ids of the leaves, ascending: one a sequence. */
  readonly leaves: Int32Array;
  private readonly childStart: Int32Array;
  private readonly childOrder: Int32Array;

  /**
   * @param parent id of the parent, −1 at the root
   * @param token token that leads to the node; `ROOT` or `END` where none does
   * @param answer at a leaf the index of the answer it spells, −1 at an inner node
   * @param complete whether an answer's text is complete here, so that only its end is missing
   * @param answerCount number of answers |V|
   * @param endTokens the tokens that `END` stands for, ascending
   */
  constructor(
    readonly parent: Int32Array,
    readonly token: Int32Array,
    readonly answer: Int32Array,
    readonly complete: Int32Array,
    readonly answerCount: number,
    readonly endTokens: readonly number[],
  ) {
    const n = parent.length;
    this.depth = new Int32Array(n);
    this.weight = new Float64Array(n);
    this.childCount = new Int32Array(n);
    const spellings = new Int32Array(answerCount);
    for (let node = 0; node < n; node++) if (answer[node] >= 0) spellings[answer[node]]++;
    for (let node = n - 1; node >= 0; node--) {
      if (answer[node] >= 0) this.weight[node] = 1 / spellings[answer[node]];
      if (node > 0) this.weight[parent[node]] += this.weight[node];
    }
    for (let node = 1; node < n; node++) {
      this.depth[node] = this.depth[parent[node]] + 1;
      this.childCount[parent[node]]++;
    }
    this.leaves = Int32Array.from(answer.keys()).filter((node) => answer[node] >= 0);
    this.childStart = new Int32Array(n + 1);
    for (let node = 0; node < n; node++) {
      this.childStart[node + 1] = this.childStart[node] + this.childCount[node];
    }
    this.childOrder = new Int32Array(n - 1);
    const next = this.childStart.slice();
    for (let node = 1; node < n; node++) this.childOrder[next[parent[node]]++] = node;
  }

  /** Number of nodes. */
  get length(): number {
    return this.parent.length;
  }

  /** Whether a node is a valid prefix, where the model is asked. */
  isPrefix(node: number): boolean {
    return this.answer[node] < 0;
  }

  /** Ids of the children of a node, ascending by token, the end first. */
  children(node: number): Int32Array {
    return this.childOrder.subarray(this.childStart[node], this.childStart[node + 1]);
  }

  /** Ids of the nodes from the first event to `node`; empty at the root. */
  path(node: number): number[] {
    const nodes: number[] = [];
    for (let at = node; at > 0; at = this.parent[at]) nodes.push(at);
    return nodes.reverse();
  }

  /** Sum of a column over the events from the root to every node. */
  alongPaths(edgeValue: Float64Array): Float64Array {
    const total = edgeValue.slice();
    for (let node = 1; node < this.length; node++) total[node] += total[this.parent[node]];
    return total;
  }

  /** Sum of a column over the children of every node; NaN at leaves. */
  overChildren(edgeValue: Float64Array): Float64Array {
    const total = new Float64Array(this.length);
    for (let node = 1; node < this.length; node++) total[this.parent[node]] += edgeValue[node];
    for (const leaf of this.leaves) total[leaf] = NaN;
    return total;
  }

  /** ln Σ exp of a column over the sequences of each answer. */
  byAnswer(nodeLogp: Float64Array): Float64Array {
    const result = new Float64Array(this.answerCount).fill(-Infinity);
    for (const leaf of this.leaves) {
      const answer = this.answer[leaf];
      result[answer] = logAddExp(result[answer], nodeLogp[leaf]);
    }
    return result;
  }
}

/** ln(eᵃ + eᵇ). */
export function logAddExp(a: number, b: number): number {
  const top = Math.max(a, b);
  return top === -Infinity ? top : top + Math.log1p(Math.exp(Math.min(a, b) - top));
}
