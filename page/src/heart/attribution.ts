/** Where validity and diversity are lost, by prefix. Mirrors `breadth.measures.attribution`. */

import type { Trie } from "./trie.ts";
import { logAddExp } from "./trie.ts";

/** Losses in nats. Columns have one entry per node of the trie; leaves lose nothing. */
export interface Attribution {
  /** Probability to pass through each node, given a valid answer. */
  readonly reach: Float64Array;
  /** Its sum is −ln Val. */
  readonly validityLost: Float64Array;
  /** Its sum is −ln Div where every answer has one sequence. */
  readonly diversityLost: Float64Array;
}

/** Split −ln Val and −ln Div over the prefixes; undefined where Val = 0. */
export function attribute(trie: Trie, edgeLogp: Float64Array): Attribution | undefined {
  const n = trie.length;
  const below = new Float64Array(n).fill(-Infinity);
  for (let node = n - 1; node >= 0; node--) {
    if (!trie.isPrefix(node)) below[node] = 0;
    if (node === 0) continue;
    const parent = trie.parent[node];
    below[parent] = logAddExp(below[parent], edgeLogp[node] + below[node]);
  }
  if (below[0] === -Infinity) return undefined;
  const reachLogp = new Float64Array(n);
  const validityLost = new Float64Array(n);
  const diversityLost = new Float64Array(n);
  for (let node = 1; node < n; node++) {
    const parent = trie.parent[node];
    const alive = below[node] > -Infinity && edgeLogp[node] > -Infinity;
    if (!alive || reachLogp[parent] === -Infinity) {
      reachLogp[node] = -Infinity;
      continue;
    }
    const gained = below[node] - below[parent];
    const valid = edgeLogp[node] + gained;
    reachLogp[node] = reachLogp[parent] + valid;
    const reach = Math.exp(reachLogp[node]);
    validityLost[parent] += reach * gained;
    diversityLost[parent] += reach * (valid - Math.log(trie.weight[node] / trie.weight[parent]));
  }
  const positive = (value: number) => Math.max(value, 0);
  return {
    reach: reachLogp.map(Math.exp),
    validityLost: validityLost.map(positive),
    diversityLost: diversityLost.map(positive),
  };
}
