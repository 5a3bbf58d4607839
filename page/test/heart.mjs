var __defProp = Object.defineProperty;
var __export = (target, all) => {
  for (var name in all)
    __defProp(target, name, { get: all[name], enumerable: true });
};

// src/heart/trie.ts
var ROOT = -1;
var END = -2;
var Trie = class {
  /**
   * @param parent id of the parent, −1 at the root
   * @param token token that leads to the node; `ROOT` or `END` where none does
   * @param answer at a leaf the index of the answer it spells, −1 at an inner node
   * @param complete whether an answer's text is complete here, so that only its end is missing
   * @param answerCount number of answers |V|
   * @param endTokens the tokens that `END` stands for, ascending
   */
  constructor(parent, token, answer, complete, answerCount, endTokens) {
    this.parent = parent;
    this.token = token;
    this.answer = answer;
    this.complete = complete;
    this.answerCount = answerCount;
    this.endTokens = endTokens;
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
  parent;
  token;
  answer;
  complete;
  answerCount;
  endTokens;
  /** Number of events from the root; the end counts as one. */
  depth;
  /** N(u): how many answers extend each node; one of an answer's s sequences counts 1/s. */
  weight;
  /** g(u): number of valid events at each node, 0 at leaves. */
  childCount;
  /** Ids of the leaves, ascending: one a sequence. */
  leaves;
  childStart;
  childOrder;
  /** Number of nodes. */
  get length() {
    return this.parent.length;
  }
  /** Whether a node is a valid prefix, where the model is asked. */
  isPrefix(node) {
    return this.answer[node] < 0;
  }
  /** Ids of the children of a node, ascending by token, the end first. */
  children(node) {
    return this.childOrder.subarray(this.childStart[node], this.childStart[node + 1]);
  }
  /** Ids of the nodes from the first event to `node`; empty at the root. */
  path(node) {
    const nodes = [];
    for (let at = node; at > 0; at = this.parent[at]) nodes.push(at);
    return nodes.reverse();
  }
  /** Sum of a column over the events from the root to every node. */
  alongPaths(edgeValue) {
    const total = edgeValue.slice();
    for (let node = 1; node < this.length; node++) total[node] += total[this.parent[node]];
    return total;
  }
  /** Sum of a column over the children of every node; NaN at leaves. */
  overChildren(edgeValue) {
    const total = new Float64Array(this.length);
    for (let node = 1; node < this.length; node++) total[this.parent[node]] += edgeValue[node];
    for (const leaf of this.leaves) total[leaf] = NaN;
    return total;
  }
  /** ln Σ exp of a column over the sequences of each answer. */
  byAnswer(nodeLogp) {
    const result = new Float64Array(this.answerCount).fill(-Infinity);
    for (const leaf of this.leaves) {
      const answer = this.answer[leaf];
      result[answer] = logAddExp(result[answer], nodeLogp[leaf]);
    }
    return result;
  }
};
function logAddExp(a, b) {
  const top = Math.max(a, b);
  return top === -Infinity ? top : top + Math.log1p(Math.exp(Math.min(a, b) - top));
}

// src/heart/attribution.ts
function attribute(trie, edgeLogp) {
  const n = trie.length;
  const below = new Float64Array(n).fill(-Infinity);
  for (let node = n - 1; node >= 0; node--) {
    if (!trie.isPrefix(node)) below[node] = 0;
    if (node === 0) continue;
    const parent = trie.parent[node];
    below[parent] = logAddExp(below[parent], edgeLogp[node] + below[node]);
  }
  if (below[0] === -Infinity) return void 0;
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
  const positive = (value) => Math.max(value, 0);
  return {
    reach: reachLogp.map(Math.exp),
    validityLost: validityLost.map(positive),
    diversityLost: diversityLost.map(positive)
  };
}

// src/heart/events.ts
var Events = class {
  /** (P + 1,) where the events of each row stand. */
  start;
  /** The child node that each event leads to. */
  child;
  /** Its rank (1-based) once all end tokens but the best of the row are deleted. */
  rank;
  /** Where its tokens begin among the valid tokens; they end where the next event's begin. */
  first;
  /** Number of its tokens that are not forbidden. */
  allowed;
  /** (P + 1,) where the end tokens of each row stand that are not forbidden, by rank. */
  endStart;
  endRank;
  /** Nats of logit below the row's top token. */
  endGap;
  constructor(ranked, trie) {
    const { validNode, validRank, strayLogit, strayRank } = ranked.columns;
    const ends = [];
    this.start = new Int32Array(ranked.length + 1);
    this.endStart = new Int32Array(ranked.length + 1);
    const first2 = [];
    for (let row = 0; row < ranked.length; row++) {
      const own = [];
      for (let index = ranked.validStart[row]; index < ranked.validStart[row + 1]; index++) {
        if (index === 0 || validNode[index] !== validNode[index - 1]) first2.push(index);
        if (trie.token[validNode[index]] === END) {
          own.push({ rank: validRank[index], gap: ranked.validGap(row, index) });
        }
      }
      for (let index = ranked.strayStart[row]; index < ranked.strayStart[row + 1]; index++) {
        own.push({ rank: strayRank[index], gap: ranked.maxLogit(row) - strayLogit[index] });
      }
      ends.push(...own.filter(({ gap }) => gap < Infinity).sort((a, b) => a.rank - b.rank));
      this.start[row + 1] = first2.length;
      this.endStart[row + 1] = ends.length;
    }
    this.first = Int32Array.from([...first2, validNode.length]);
    this.endRank = Int32Array.from(ends, ({ rank }) => rank);
    this.endGap = Float64Array.from(ends, ({ gap }) => gap);
    this.child = Int32Array.from(first2, (index) => validNode[index]);
    this.rank = new Int32Array(first2.length);
    this.allowed = new Int32Array(first2.length);
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
  endCount(row) {
    return this.endStart[row + 1] - this.endStart[row];
  }
  /** Number of end tokens of a row among its top `rank` tokens. */
  endsUpto(row, rank) {
    let low = this.endStart[row];
    let high = this.endStart[row + 1];
    while (low < high) {
      const middle = low + high >> 1;
      if (this.endRank[middle] <= rank) low = middle + 1;
      else high = middle;
    }
    return low - this.endStart[row];
  }
  /** Where a token that is no deleted end token stands in the event ranking, by its rank. */
  eventRank(row, rank) {
    return rank - Math.max(this.endsUpto(row, rank - 1) - 1, 0);
  }
  /**
   * What keeping the top events of a row means for its tokens: the rank of the last one kept, and
   * whether the end is among them, whose other tokens are then kept too.
   */
  topTokens(row, events) {
    const begin = this.endStart[row];
    let pushed = 0;
    for (let index = begin + 1; index < this.endStart[row + 1]; index++) {
      if (this.endRank[index] - (index - begin) < events) pushed++;
    }
    const last = events + pushed;
    return { last, hasEnd: this.endCount(row) > 0 && this.endRank[begin] <= last };
  }
  /** Summed weight of a row's end tokens below a rank. */
  endMassBeyond(row, rank, beta) {
    let mass = 0;
    for (let index = this.endStart[row + 1] - 1; index >= this.endStart[row]; index--) {
      if (this.endRank[index] <= rank) break;
      mass += Math.exp(-beta * this.endGap[index]);
    }
    return mass;
  }
};

// src/heart/ranked.ts
var FLOOR = 1e6;
var Ranked = class {
  constructor(vocabSize, columns) {
    this.vocabSize = vocabSize;
    this.columns = columns;
    const { node, headLogit, headToken, tailLogit, tailRank } = columns;
    this.length = node.length;
    this.head = headLogit.length / this.length;
    this.named = headToken.length / this.length;
    const tail = tailRank.length;
    this.knots = this.head + tail;
    this.knotGap = new Float64Array(this.length * this.knots);
    for (let row = 0; row < this.length; row++) {
      const first2 = row * this.knots;
      const top = headLogit[row * this.head];
      for (let k = 0; k < this.head; k++) {
        this.knotGap[first2 + k] = Math.min(top - headLogit[row * this.head + k], FLOOR);
      }
      for (let s = 0; s < tail; s++) {
        this.knotGap[first2 + this.head + s] = Math.min(top - tailLogit[row * tail + s], FLOOR);
      }
    }
    this.validStart = starts(columns.validCount);
    this.strayStart = starts(columns.strayCount);
    this.rows = new Map(Array.from(node, (id, row) => [id, row]));
  }
  vocabSize;
  columns;
  /** Number of prefixes P. */
  length;
  /** Number of top logits that are exact. */
  head;
  /** Number of top tokens whose ids are kept. */
  named;
  /** Number of ranks whose logit is known: the head, then the end of every tail segment. */
  knots;
  /** (P, knots) nats of logit below the row's top token. */
  knotGap;
  /** (P + 1,) where the valid tokens of each row stand. */
  validStart;
  /** (P + 1,) where the stray end tokens of each row stand. */
  strayStart;
  rows;
  /** The row of a prefix; undefined where it was left out. */
  rowOf(node) {
    return this.rows.get(node);
  }
  /** The largest logit of a row. */
  maxLogit(row) {
    return this.columns.headLogit[row * this.head];
  }
  /** Nats of logit of a valid token below the row's top token; Infinity if it is forbidden. */
  validGap(row, index) {
    return this.maxLogit(row) - this.columns.validLogit[index];
  }
  /** Last rank with a finite logit of a tail segment; of segment −1 where the tail starts. */
  tailEnd(row, segment) {
    if (segment < 0) return this.head;
    return Math.min(this.columns.tailRank[segment], Math.max(this.columns.nFinite[row], this.head));
  }
  /** Number of tokens with a finite logit in a tail segment. */
  tailCount(row, segment) {
    return this.tailEnd(row, segment) - this.tailEnd(row, segment - 1);
  }
  /** The tail segment that holds a rank beyond the head. */
  segmentOf(rank) {
    let low = 0;
    let high = this.columns.tailRank.length;
    while (low < high) {
      const middle = low + high >> 1;
      if (this.columns.tailRank[middle] < rank) low = middle + 1;
      else high = middle;
    }
    return low;
  }
  /** Population standard deviation of the logits at ranks low + 1 … high ≤ nFinite. */
  spread(row, low, high) {
    const [firstLow, secondLow] = this.gapSums(row, low);
    const [firstHigh, secondHigh] = this.gapSums(row, high);
    const mean = (firstHigh - firstLow) / (high - low);
    const square = (secondHigh - secondLow) / (high - low);
    return Math.sqrt(Math.max(square - mean * mean, 0));
  }
  /** Sums of the gaps and of their squares up to a rank, linear inside a tail segment. */
  gapSums(row, rank) {
    const base = row * this.knots;
    let first2 = 0;
    let second = 0;
    for (let k = 0; k < Math.min(rank, this.head); k++) {
      const gap = this.knotGap[base + k];
      first2 += gap;
      second += gap * gap;
    }
    for (let s = 0; this.tailEnd(row, s - 1) < rank; s++) {
      const upper = this.knotGap[base + this.head + s - 1];
      const drop = this.knotGap[base + this.head + s] - upper;
      const count = Math.min(this.tailEnd(row, s), rank) - this.tailEnd(row, s - 1);
      first2 += count * (upper + drop / 2);
      second += count * (upper * upper + upper * drop + drop * drop / 3);
    }
    return [first2, second];
  }
};
function starts(count) {
  const start = new Int32Array(count.length + 1);
  for (let row = 0; row < count.length; row++) start[row + 1] = start[row] + count[row];
  return start;
}
function segmentMean(drop) {
  return drop > 1e-8 ? -Math.expm1(-drop) / drop : 1 - 0.5 * drop;
}
function meanPosition(fall) {
  return fall > 1e-4 ? 1 / fall - 1 / Math.expm1(Math.min(fall, 700)) : 0.5 - fall / 12;
}

// src/heart/mass.ts
var Mass = class {
  /** @param sums room for knots + 1 sums; the first is 0 and stays so */
  constructor(ranked, row, beta, anchor, sums) {
    this.ranked = ranked;
    this.row = row;
    this.beta = beta;
    this.anchor = anchor;
    this.sums = sums;
    this.gaps = ranked.knotGap;
    this.base = row * ranked.knots;
    this.head = ranked.head;
    sums[0] = 0;
  }
  ranked;
  row;
  beta;
  anchor;
  sums;
  gaps;
  base;
  head;
  known = 0;
  get nFinite() {
    return this.ranked.columns.nFinite[this.row];
  }
  /** Gap at a knot, counted from 0. */
  knotGap(knot) {
    return Math.max(this.gaps[this.base + knot] - this.anchor, 0);
  }
  segment(index) {
    const { ranked, row, beta, head } = this;
    const above = this.knotGap(head - 1 + index);
    const drop = this.knotGap(head + index) - above;
    const correction = Math.exp(beta * this.correction(index));
    const upper = Math.exp(-beta * above) * Math.min(correction, 1 / segmentMean(beta * drop));
    return { upper, drop, count: ranked.tailCount(row, index) };
  }
  correction(index) {
    const { tailRank, tailCorrection } = this.ranked.columns;
    return tailCorrection[this.row * tailRank.length + index];
  }
  /** Mass of the ranks up to a knot. */
  sum(knot) {
    const { sums, gaps, base, beta, anchor, head } = this;
    if (knot > this.known) {
      let total = sums[this.known];
      const inHead = Math.min(knot, head);
      for (let k = this.known; k < inHead; k++) {
        total += Math.exp(-beta * Math.max(gaps[base + k] - anchor, 0));
        sums[k + 1] = total;
      }
      const first2 = Math.max(this.known, head);
      let weight = first2 < knot ? Math.exp(-beta * this.knotGap(first2 - 1)) : 0;
      for (let k = first2; k < knot; k++) {
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
  get total() {
    return this.sum(this.ranked.knots);
  }
  /** Mass of the top `rank` tokens, 0 … nFinite. */
  upto(rank) {
    rank = Math.min(rank, this.nFinite);
    if (rank <= this.head) return this.sum(rank);
    const index = this.ranked.segmentOf(rank);
    const { upper, drop, count } = this.segment(index);
    const part = (rank - this.ranked.tailEnd(this.row, index - 1)) / count;
    const inside = upper * segmentMean(this.beta * drop * part) * part * count;
    return this.sum(this.head + index) + inside;
  }
  /** The smallest rank whose cumulative mass is at least `target`; nFinite if there is none. */
  reach(target) {
    const { knots } = this.ranked;
    if (this.total < target) return this.nFinite;
    let low = 0;
    let high = knots;
    while (low < high) {
      const middle = low + high >> 1;
      if (this.sums[middle] < target) low = middle + 1;
      else high = middle;
    }
    if (low <= this.head) return Math.min(low, this.nFinite);
    const index = low - 1 - this.head;
    const { upper, drop, count } = this.segment(index);
    const share = (target - this.sums[low - 1]) / Math.max(upper * count, TINY);
    const fall = this.beta * drop;
    const inside = Math.min(Math.max(1 - share * fall, TINY), 1);
    const part = fall > 1e-8 ? -Math.log(inside) / fall : share;
    const place = Math.min(Math.max(Math.ceil(part * count), 1), count);
    return this.ranked.tailEnd(this.row, index - 1) + place;
  }
  /** Number of tokens with a finite logit whose gap is at most `gap`. */
  above(gap) {
    const { knots } = this.ranked;
    let low = 0;
    let high = knots;
    while (low < high) {
      const middle = low + high >> 1;
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
  gapAt(rank) {
    if (rank <= this.head) return this.knotGap(rank - 1);
    const index = this.ranked.segmentOf(rank);
    const upper = this.knotGap(this.head - 1 + index);
    const drop = this.knotGap(this.head + index) - upper;
    const first2 = this.ranked.tailEnd(this.row, index - 1);
    return upper + drop * (rank - first2) / this.ranked.tailCount(this.row, index);
  }
  /** Sum of weight × gap of the top `rank` tokens. */
  momentUpto(rank) {
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
  entropy(low, high) {
    const mass = this.upto(high) - this.upto(low);
    const moment = this.momentUpto(high) - (low > 0 ? this.momentUpto(low) : 0);
    return Math.max(Math.log(mass) + this.beta * moment / mass, 0);
  }
};
var TINY = 2 ** -1022;
var NEGLIGIBLE = 7;
var Masses = class {
  constructor(ranked, remember = 3) {
    this.ranked = ranked;
    this.remember = remember;
  }
  ranked;
  remember;
  known = /* @__PURE__ */ new Map();
  /** A row's mass at inverse temperature `beta`, precise for windows that start after `low`. */
  at(row, beta, low) {
    const { ranked } = this;
    const { sums, rows } = this.known.get(beta) ?? this.begin(beta);
    const size = ranked.knots + 1;
    const mass = rows[row] ??= new Mass(
      ranked,
      row,
      beta,
      0,
      sums.subarray(row * size, (row + 1) * size)
    );
    if (low === 0) return mass;
    const anchor = mass.gapAt(low + 1);
    if (beta * anchor <= NEGLIGIBLE) return mass;
    return new Mass(ranked, row, beta, anchor, new Float64Array(size));
  }
  /** Room for another temperature: that of the one begun first, once there are enough. */
  begin(beta) {
    const { ranked, known, remember } = this;
    const oldest = known.size >= remember ? known.keys().next().value : void 0;
    const sums = oldest === void 0 ? void 0 : known.get(oldest)?.sums;
    if (oldest !== void 0) known.delete(oldest);
    const fresh = {
      sums: sums ?? new Float64Array(ranked.length * (ranked.knots + 1)),
      rows: new Array(ranked.length)
    };
    known.set(beta, fresh);
    return fresh;
  }
};

// src/heart/measures.ts
var measures_exports = {};
__export(measures_exports, {
  SHARES: () => SHARES,
  bestAt: () => bestAt,
  coverage: () => coverage,
  diversity: () => diversity,
  expectedDistinct: () => expectedDistinct,
  hillNumber: () => hillNumber,
  idealDistinct: () => idealDistinct,
  logValidity: () => logValidity,
  paretoFront: () => paretoFront,
  recall: () => recall,
  samplesForDistinct: () => samplesForDistinct,
  validity: () => validity
});
var MAX_SAMPLES = 2 ** 53;
var SHARES = [0.5, 0.9, 0.99];
function largest(values) {
  let top = -Infinity;
  for (const value of values) if (value > top) top = value;
  return top;
}
function logValidity(answerLogp) {
  const top = largest(answerLogp);
  if (top === -Infinity) return top;
  let sum2 = 0;
  for (const logp of answerLogp) sum2 += Math.exp(logp - top);
  return top + Math.log(sum2);
}
function validity(answerLogp) {
  return Math.exp(Math.min(logValidity(answerLogp), 0));
}
function hillNumber(answerLogp, order) {
  const top = largest(answerLogp);
  if (top === -Infinity) return NaN;
  const support = answerLogp.filter((logp) => logp > -Infinity).map((logp) => logp - top);
  const logTotal = Math.log(support.reduce((sum2, logp) => sum2 + Math.exp(logp), 0));
  let logNumber;
  if (order === Infinity) {
    logNumber = logTotal;
  } else if (Math.abs(order - 1) < 1e-6) {
    logNumber = -support.reduce((sum2, each) => {
      const logp = each - logTotal;
      return sum2 + Math.exp(logp) * logp;
    }, 0);
  } else {
    const powers = support.reduce((sum2, logp) => sum2 + Math.exp(order * logp), 0);
    logNumber = (Math.log(powers) - order * logTotal) / (1 - order);
  }
  const number = Math.min(Math.max(Math.exp(logNumber), 1), support.length);
  return number / answerLogp.length;
}
function diversity(answerLogp) {
  return hillNumber(answerLogp, 1);
}
function recall(answerLogp) {
  return answerLogp.filter((logp) => logp > -Infinity).length / answerLogp.length;
}
function expectedDistinct(answerLogp, n) {
  if (n <= 0) return 0;
  let sum2 = 0;
  for (const logp of answerLogp) sum2 -= Math.expm1(n * Math.log1p(-Math.exp(Math.min(logp, 0))));
  return sum2;
}
function idealDistinct(answers, n) {
  if (answers === 1) return Math.min(n, 1);
  return -answers * Math.expm1(n * Math.log1p(-1 / answers));
}
function coverage(answerLogp, n = answerLogp.length) {
  return expectedDistinct(answerLogp, n) / idealDistinct(answerLogp.length, n);
}
function samplesForDistinct(answerLogp, share) {
  const target = share * answerLogp.length;
  const support = answerLogp.filter((logp) => logp > -Infinity).length;
  const isCertain = support === 1 && largest(answerLogp) >= 0;
  if (target > support || target === support && !isCertain) return null;
  let high = 1;
  while (expectedDistinct(answerLogp, high) < target) {
    if (high >= MAX_SAMPLES) return null;
    high *= 2;
  }
  let low = Math.floor(high / 2);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (expectedDistinct(answerLogp, middle) >= target) high = middle;
    else low = middle;
  }
  return high;
}
function paretoFront(points) {
  const front = [];
  const order = points.filter(({ diversity: diversity2 }) => !Number.isNaN(diversity2)).sort((a, b) => b.validity - a.validity || b.diversity - a.diversity);
  for (const point of order) {
    if (!front.length || point.diversity > front[front.length - 1].diversity) front.push(point);
  }
  return front;
}
function bestAt(points, floor) {
  const front = paretoFront(points.filter(({ validity: validity2 }) => validity2 >= floor));
  return front[front.length - 1];
}

// src/heart/outcome.ts
var Outcome = class {
  /**
   * @param edgeLogp ln q of the event that leads to the node; −Infinity where the rule drops it
   * @param edgeUniformLogp the same when each step samples uniformly from the kept tokens
   * @param edgeEventLogp the same when each step samples uniformly from the kept events
   * @param reachLogp ln of the probability that generation passes through the node
   * @param cutInTail whether at some prefix that the rule reaches its cut fell beyond the exact
   *   head, so that numbers may be off by about 1e-3
   */
  constructor(probe, rule, edgeLogp, edgeUniformLogp, edgeEventLogp, reachLogp, cutInTail) {
    this.probe = probe;
    this.rule = rule;
    this.edgeLogp = edgeLogp;
    this.edgeUniformLogp = edgeUniformLogp;
    this.edgeEventLogp = edgeEventLogp;
    this.reachLogp = reachLogp;
    this.cutInTail = cutInTail;
  }
  probe;
  rule;
  edgeLogp;
  edgeUniformLogp;
  edgeEventLogp;
  reachLogp;
  cutInTail;
  get trie() {
    return this.probe.trie;
  }
  cache = /* @__PURE__ */ new Map();
  /** A value that is computed once, when it is first asked for. */
  once(name, compute) {
    if (!this.cache.has(name)) this.cache.set(name, compute());
    return this.cache.get(name);
  }
  /** ln q(y) of every answer: its sequences add up. */
  get answerLogp() {
    return this.once("answerLogp", () => this.trie.byAnswer(this.reachLogp));
  }
  /** Val = Σ q(y). */
  get validity() {
    return this.once("validity", () => validity(this.answerLogp));
  }
  /** Div = exp(H(q | V)) / |V|. */
  get diversity() {
    return this.once("diversity", () => diversity(this.answerLogp));
  }
  /** The share of answers that survive the cutoff. */
  get recall() {
    return recall(this.answerLogp);
  }
  /** P(valid) when each step samples uniformly from the kept tokens. */
  get precision() {
    return this.once("precision", () => this.uniformValidity(this.edgeUniformLogp));
  }
  /** P(valid) when each step samples uniformly from the kept events. */
  get eventPrecision() {
    return this.once("eventPrecision", () => this.uniformValidity(this.edgeEventLogp));
  }
  uniformValidity(edgeLogp) {
    return validity(this.trie.byAnswer(this.trie.alongPaths(edgeLogp)));
  }
  /** Expected number of distinct valid answers among n independent samples. */
  distinct(n) {
    return expectedDistinct(this.answerLogp, n);
  }
  /** Expected distinct valid answers in |V| samples, as a share of the ideal sampler's. */
  get coverage() {
    return coverage(this.answerLogp);
  }
  /** Fewest samples that are expected to give a share of the answers; null where none do. */
  samplesFor(share) {
    return samplesForDistinct(this.answerLogp, share);
  }
  /** At a prefix the probability that the next event is valid; NaN at a leaf. */
  get validMass() {
    return this.once("validMass", () => this.trie.overChildren(this.edgeLogp.map(Math.exp)));
  }
  /** Probability to leave the valid trie at each prefix: 1 − Val − `unknown` in all. */
  get leak() {
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
  get unknown() {
    const { ranked, trie } = this.probe;
    if (ranked.length === trie.length - trie.leaves.length) return 0;
    let sum2 = 0;
    for (let node = 1; node < trie.length; node++) {
      const isBorder = trie.isPrefix(node) && ranked.rowOf(node) === void 0;
      if (isBorder) sum2 += Math.exp(this.reachLogp[node]);
    }
    return sum2;
  }
  /** Share of the kept events that are valid, at each prefix; NaN at a leaf. */
  get localPrecision() {
    return this.once(
      "localPrecision",
      () => this.trie.overChildren(this.edgeEventLogp.map(Math.exp))
    );
  }
  /** Share of the answers below each prefix whose next event is kept; NaN at a leaf. */
  get localRecall() {
    return this.once("localRecall", () => {
      const { weight } = this.trie;
      const kept = weight.map((each, node) => this.edgeLogp[node] > -Infinity ? each : 0);
      return this.trie.overChildren(kept).map((each, node) => each / weight[node]);
    });
  }
};
function evaluate(probe, rule) {
  const { trie, ranked } = probe;
  const edges = new Edges(probe, rule);
  for (let row = 0; row < ranked.length; row++) edges.place(row);
  const reach = trie.alongPaths(edges.logp);
  const cut = edges.tailNodes.some((node) => reach[node] > -Infinity);
  return new Outcome(probe, rule, edges.logp, edges.uniform, edges.event, reach, cut);
}
var Edges = class {
  constructor(probe, rule) {
    this.probe = probe;
    this.rule = rule;
    const column2 = () => new Float64Array(probe.trie.length).fill(-Infinity).fill(0, 0, 1);
    this.logp = column2();
    this.uniform = column2();
    this.event = column2();
  }
  probe;
  rule;
  logp;
  uniform;
  event;
  tailNodes = [];
  /** Fill in the events of a row. */
  place(row) {
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
  underWindows(row) {
    const { ranked, events, masses } = this.probe;
    const { validRank, nFinite } = ranked.columns;
    let isInTail = false;
    for (const window of this.rule.windows(masses, row)) {
      const { beta, low, high } = window;
      const logWeight = Math.log(window.weight);
      const logMass = window.logMass();
      const tokens = high - low;
      const ends = events.endsUpto(row, high) - events.endsUpto(row, low);
      const logTokens = Math.log(tokens);
      const logEvents = Math.log(tokens - Math.max(ends - 1, 0));
      for (let event = events.start[row]; event < events.start[row + 1]; event++) {
        let kept = 0;
        let best = 0;
        let sum2 = 0;
        for (let index = events.first[event]; index < events.first[event + 1]; index++) {
          const rank = validRank[index];
          if (rank <= low || rank > high) continue;
          const gap = ranked.validGap(row, index);
          if (kept++ === 0) best = gap;
          sum2 += gap === best ? 1 : Math.exp(-beta * (gap - best));
        }
        if (kept === 0) continue;
        const logSum = sum2 === 1 ? -beta * best : -beta * best + Math.log(sum2);
        const child = events.child[event];
        this.logp[child] = logAddExp(this.logp[child], logWeight + logSum - logMass);
        const uniform = logWeight + Math.log(kept) - logTokens;
        this.uniform[child] = logAddExp(this.uniform[child], uniform);
        this.event[child] = logAddExp(this.event[child], logWeight - logEvents);
      }
      isInTail ||= low > ranked.head || high > ranked.head && high < nFinite[row];
    }
    if (isInTail) this.tailNodes.push(ranked.columns.node[row]);
  }
  /** Oracle size: as many of the top events are kept as there are valid ones. */
  topEvents(row) {
    const { trie, ranked, events, masses } = this.probe;
    const { node, nFinite } = ranked.columns;
    const { temperature } = this.rule;
    const deleted = Math.max(events.endCount(row) - 1, 0);
    const count = Math.min(trie.childCount[node[row]], nFinite[row] - deleted);
    const { last, hasEnd } = events.topTokens(row, count);
    const beta = 1 / temperature;
    const logMass = temperature > 0 ? Math.log(
      masses.at(row, beta, 0).upto(last) + (hasEnd ? events.endMassBeyond(row, last, beta) : 0)
    ) : NaN;
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
  logWeight(row, event, beta) {
    const { ranked, events } = this.probe;
    const first2 = events.first[event];
    const best = ranked.validGap(row, first2);
    if (best === Infinity) return -Infinity;
    let sum2 = 1;
    for (let index = first2 + 1; index < events.first[event + 1]; index++) {
      sum2 += Math.exp(-beta * (ranked.validGap(row, index) - best));
    }
    return sum2 === 1 ? -beta * best : -beta * best + Math.log(sum2);
  }
  oracleValidity(row) {
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
      if (total > -Infinity) {
        all.forEach((event, place) => {
          this.logp[events.child[event]] = weights[place] - total;
        });
      }
    }
    this.allValid(all, (event) => events.allowed[event]);
  }
  oracleShape(row) {
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
  allValid(all, tokens) {
    const total = all.reduce((sum2, event) => sum2 + tokens(event), 0);
    const kept = all.filter((event) => tokens(event) > 0);
    for (const event of kept) {
      const child = this.probe.events.child[event];
      this.uniform[child] = Math.log(tokens(event) / total);
      this.event[child] = -Math.log(kept.length);
    }
  }
};
function range(from, to) {
  return Array.from({ length: to - from }, (_, place) => from + place);
}

// src/heart/rules/engines.ts
var ENGINES = /* @__PURE__ */ new Map([
  [
    "transformers",
    {
      order: [
        "temperature",
        "top_h",
        "top_k",
        "top_p",
        "min_p",
        "typical_p",
        "epsilon_cutoff",
        "eta_cutoff"
      ],
      defaults: "temperature=1,top_k=50",
      exactTopK: false
    }
  ],
  [
    "vllm",
    {
      order: ["temperature", "min_p", "top_k", "top_p"],
      defaults: "temperature=1",
      exactTopK: false
    }
  ],
  [
    "llama.cpp",
    {
      order: ["top_n_sigma", "top_k", "typical_p", "top_p", "min_p", "xtc", "temperature"],
      defaults: "top_k=40,top_p=0.95,min_p=0.05,temperature=0.8",
      exactTopK: true
    }
  ]
]);

// src/heart/rules/error.ts
var RuleError = class extends Error {
  name = "RuleError";
};

// src/heart/rules/text.ts
var NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
var SPECIAL = /^([+-]?)(inf|infinity|nan)$/i;
function numberText(value, digits = 16) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  const [mantissa, power] = value.toExponential().split("e");
  const exponent = Number(power);
  if (exponent >= -4 && exponent < digits) return String(value);
  return `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}
function shortText(value) {
  return numberText(Number(value.toPrecision(6)), 6);
}
function readNumber(text2) {
  const trimmed = text2.trim();
  if (NUMBER.test(trimmed)) return Number(trimmed);
  const special = SPECIAL.exec(trimmed);
  if (!special) return void 0;
  return special[2].toLowerCase() === "nan" ? NaN : special[1] === "-" ? -Infinity : Infinity;
}
function quoted(text2) {
  return text2.includes("'") && !text2.includes('"') ? `"${text2}"` : `'${text2.replace(/'/g, "\\'")}'`;
}
function closest(name, known) {
  let best;
  let most = 0.6;
  for (const each of known) {
    const likeness = 2 * matched(each, name) / (each.length + name.length);
    const isBetter = best === void 0 ? likeness >= most : likeness > most;
    if (isBetter || likeness === most && best !== void 0 && each > best) {
      best = each;
      most = likeness;
    }
  }
  return best;
}
function matched(a, b) {
  let [start, other, size] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    for (let j = 0; j < b.length; j++) {
      let length = 0;
      while (i + length < a.length && j + length < b.length && a[i + length] === b[j + length]) {
        length++;
      }
      if (length > size) [start, other, size] = [i, j, length];
    }
  }
  if (size === 0) return 0;
  const before = matched(a.slice(0, start), b.slice(0, other));
  return before + size + matched(a.slice(start + size), b.slice(other + size));
}

// src/heart/rules/steps.ts
var Step = class {
  constructor(value) {
    this.value = value;
  }
  value;
  /** Whether it always keeps the top of the ranking. */
  isCutoff = true;
  /** The value at which the step does nothing, if it has one. */
  neutral;
  /** The step as it is written in a rule. */
  toString() {
    return `${this.name}=${numberText(this.value)}`;
  }
  /** Whether the step does nothing whatever the distribution. */
  get isNeutral() {
    return this.value === this.neutral;
  }
};
var Temperature = class extends Step {
  name = "temperature";
  accepts = "0 (greedy) or a number from 0.001 to 1000";
  summary = "divide the logits by T; 0 is greedy";
  inRange() {
    return this.value === 0 || this.value >= 1e-3 && this.value <= 1e3;
  }
  apply(window) {
    if (this.value === 0) return [window.cut(window.low + 1)];
    return [window.with({ beta: window.beta / this.value })];
  }
};
var TopK = class extends Step {
  name = "top_k";
  accepts = "a whole number ≥ 0; 0 keeps all";
  summary = "keep the k most likely tokens (ties with the k-th too)";
  neutral = 0;
  keepsTies = true;
  inRange() {
    return this.value >= 0 && Number.isInteger(this.value);
  }
  apply(window) {
    const high = Math.min(window.low + this.value, window.high);
    if (!this.keepsTies) return [window.cut(high)];
    const mass = window.cumulative();
    const tied = mass.above(mass.gapAt(high));
    return [window.cut(tied <= mass.ranked.head ? Math.max(high, tied) : high)];
  }
};
var ExactTopK = class extends TopK {
  summary = "keep exactly the k most likely tokens";
  keepsTies = false;
};
var TopP = class extends Step {
  name = "top_p";
  accepts = "a number from 0 to 1; 1 keeps all";
  summary = "keep the smallest top set with mass ≥ p";
  neutral = 1;
  inRange() {
    return this.value >= 0 && this.value <= 1;
  }
  apply(window) {
    const mass = window.cumulative();
    const below = mass.upto(window.low);
    return [window.cut(mass.reach(below + this.value * (mass.upto(window.high) - below)))];
  }
};
var MinP = class extends Step {
  name = "min_p";
  accepts = "a number from 0 to 1; 0 keeps all";
  summary = "keep tokens with p ≥ min_p × the largest p";
  neutral = 0;
  inRange() {
    return this.value >= 0 && this.value <= 1;
  }
  apply(window) {
    const mass = window.cumulative();
    const gap = mass.gapAt(window.low + 1) - Math.log(this.value) / window.beta;
    return [window.cut(mass.above(gap))];
  }
};
var AbsoluteCutoff = class extends Step {
  accepts = "a number from 0 to 1, 1 excluded; 0 keeps all";
  neutral = 0;
  inRange() {
    return this.value >= 0 && this.value < 1;
  }
  apply(window) {
    const mass = window.cumulative();
    const top = mass.gapAt(window.low + 1);
    const gap = -(this.logThreshold(window) + Math.log(window.mass())) / window.beta;
    return [window.cut(mass.above(Math.max(gap, top)))];
  }
};
var EpsilonCutoff = class extends AbsoluteCutoff {
  name = "epsilon_cutoff";
  summary = "keep tokens with p ≥ ε";
  logThreshold() {
    return Math.log(this.value);
  }
};
var EtaCutoff = class extends AbsoluteCutoff {
  name = "eta_cutoff";
  summary = "keep tokens with p ≥ min(ε, √ε·exp(−entropy))";
  logThreshold(window) {
    const epsilon = Math.log(this.value);
    return Math.min(epsilon, 0.5 * epsilon - window.entropy());
  }
};
var TopH = class extends Step {
  name = "top_h";
  accepts = "a number from 0 to 1, 0 excluded";
  summary = "keep top tokens (of 100) while their entropy terms sum to ≤ top_h × entropy";
  inRange() {
    return this.value > 0 && this.value <= 1;
  }
  apply(window) {
    const mass = window.cumulative();
    const seen = Math.min(100, mass.ranked.vocabSize, window.high - window.low);
    const top = mass.gapAt(window.low + 1);
    const weight = new Float64Array(seen);
    for (let i = 0; i < seen; i++) {
      weight[i] = Math.exp(-window.beta * (mass.gapAt(window.low + 1 + i) - top));
    }
    const total = weight.reduce((sum3, each) => sum3 + each, 0);
    const spent = new Float64Array(seen);
    let sum2 = 0;
    for (let i = 0; i < seen; i++) {
      const p = weight[i] / total;
      spent[i] = sum2 += p > 0 ? -p * Math.log(p) : 0;
    }
    let kept = 0;
    while (kept < seen && weight[kept] > 0 && spent[kept] <= this.value * sum2) kept++;
    return [window.cut(window.low + kept)];
  }
};
var TypicalP = class extends Step {
  name = "typical_p";
  accepts = "a number from 0 to 1, 0 excluded; 1 keeps all";
  summary = "keep tokens with surprise nearest the entropy, up to mass p; can drop the top ones";
  isCutoff = false;
  neutral = 1;
  inRange() {
    return this.value > 0 && this.value <= 1;
  }
  apply(window) {
    const mass = window.cumulative();
    const total = window.mass();
    const centre = (window.entropy() - Math.log(total)) / window.beta;
    const slack = 1e-12 * (1 + Math.abs(centre));
    const inside = (rank) => Math.min(Math.max(rank, window.low), window.high);
    const around = (distance) => [
      inside(mass.above(centre - distance - slack)),
      inside(mass.above(centre + distance + slack))
    ];
    const isEnough = (distance) => {
      const [low2, high2] = around(distance);
      return mass.upto(high2) - mass.upto(low2) >= this.value * total;
    };
    const split = inside(mass.above(centre));
    const upward = (step) => Math.abs(centre - mass.gapAt(Math.max(split - step, 1)));
    const downward = (step) => Math.abs(mass.gapAt(Math.min(split + 1 + step, window.high)) - centre);
    let radius = Infinity;
    let nearest = Infinity;
    for (const [distance, length] of [
      [upward, split - window.low],
      [downward, window.high - split]
    ]) {
      const step = first(length, (at) => isEnough(distance(at)));
      if (step < length) radius = Math.min(radius, distance(step));
      if (length > 0) nearest = Math.min(nearest, distance(0));
    }
    const [low, high] = around(Math.max(radius, nearest));
    return [window.with({ low, high })];
  }
};
function first(length, isGood) {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = low + high >> 1;
    if (isGood(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
var TopNSigma = class extends Step {
  name = "top_n_sigma";
  accepts = "a number ≥ 0; 0 keeps all";
  summary = "keep logits ≥ largest − n × standard deviation; the same at any temperature";
  neutral = 0;
  inRange() {
    return this.value >= 0 && this.value < Infinity;
  }
  apply(window) {
    const { row, low, high } = window;
    const mass = window.cumulative();
    const { ranked } = mass;
    const isWhole = low === 0 && high === ranked.columns.nFinite[row];
    const sigma = isWhole ? ranked.columns.stdLogit[row] : ranked.spread(row, low, high);
    return [window.cut(mass.above(mass.gapAt(low + 1) + this.value * sigma))];
  }
};
var Xtc = class extends Step {
  constructor(value, probability = 1) {
    super(value);
    this.probability = probability;
  }
  probability;
  name = "xtc";
  accepts = "threshold:probability, both from 0 to 1, for example xtc=0.1:0.5";
  summary = "with a probability, drop all tokens above a threshold but the least likely of them";
  isCutoff = false;
  toString() {
    return `xtc=${numberText(this.value)}:${numberText(this.probability)}`;
  }
  /** Never drops anything: two tokens cannot both exceed one half. */
  get isNeutral() {
    return this.probability === 0 || this.value > 0.5;
  }
  inRange() {
    return [this.value, this.probability].every((number) => number >= 0 && number <= 1);
  }
  apply(window) {
    const mass = window.cumulative();
    const gap = -(Math.log(this.value) + Math.log(window.mass())) / window.beta;
    const above = Math.min(mass.above(gap), window.high) - window.low;
    const dropped = window.with({
      low: window.low + Math.max(above - 1, 0),
      weight: window.weight * this.probability
    });
    if (this.probability === 1) return [dropped];
    return [window.with({ weight: window.weight * (1 - this.probability) }), dropped];
  }
};
var STEPS = /* @__PURE__ */ new Map([
  ["temperature", Temperature],
  ["top_k", TopK],
  ["top_p", TopP],
  ["min_p", MinP],
  ["typical_p", TypicalP],
  ["epsilon_cutoff", EpsilonCutoff],
  ["eta_cutoff", EtaCutoff],
  ["top_h", TopH],
  ["top_n_sigma", TopNSigma],
  ["xtc", Xtc]
]);
function accepts(name) {
  const kind = STEPS.get(name);
  return kind ? new kind(0).accepts : "";
}
function parseStep(name, text2) {
  const refuse = (reason) => new RuleError(`${name}=${text2}: ${reason}; ${name} takes ${accepts(name)}`);
  const kind = STEPS.get(name);
  if (!kind) throw new RuleError(`${name} is unknown`);
  const parts = name === "xtc" ? /^([^:]*):?(.*)$/s.exec(text2).slice(1) : [text2];
  const numbers = parts.map(readNumber);
  const [value, probability] = numbers;
  if (value === void 0 || numbers.includes(void 0)) {
    throw refuse(name === "xtc" ? "not two numbers" : "not a number");
  }
  const step = new kind(value, probability);
  if (!step.inRange()) throw refuse("out of range");
  return step;
}

// src/heart/rules/window.ts
var Window = class _Window {
  /**
   * @param beta inverse temperature, > 0
   * @param weight probability of this window in a mixture; 1 unless a step flips a coin
   */
  constructor(masses, row, beta, low, high, weight = 1) {
    this.masses = masses;
    this.row = row;
    this.beta = beta;
    this.low = low;
    this.high = high;
    this.weight = weight;
  }
  masses;
  row;
  beta;
  low;
  high;
  weight;
  /** The whole ranking of a row, at temperature 1. */
  static whole(masses, row) {
    return new _Window(masses, row, 1, 0, masses.ranked.columns.nFinite[row]);
  }
  /** This window with some of its fields changed. */
  with(change) {
    const { masses, row } = this;
    const { beta, low, high, weight } = { ...this, ...change };
    return new _Window(masses, row, beta, low, high, weight);
  }
  /** This window with at most the ranks up to `high`, and at least its top token. */
  cut(high) {
    const { masses, row, beta, low, weight } = this;
    return new _Window(
      masses,
      row,
      beta,
      low,
      Math.max(Math.min(this.high, high), low + 1),
      weight
    );
  }
  /** Whether the token at a rank is kept. */
  has(rank) {
    return rank > this.low && rank <= this.high;
  }
  /** The row's cumulative mass, precise inside this window. */
  cumulative() {
    return this.masses.at(this.row, this.beta, this.low);
  }
  /** Summed weight of the kept tokens, relative to the anchor of `cumulative`. */
  mass() {
    const mass = this.cumulative();
    return mass.upto(this.high) - mass.upto(this.low);
  }
  /** ln of the kept tokens' summed weight: a kept token has ln q = −β·gap − this. */
  logMass() {
    const mass = this.cumulative();
    return Math.log(mass.upto(this.high) - mass.upto(this.low)) - this.beta * mass.anchor;
  }
  /** Entropy in nats of the distribution over the window. */
  entropy() {
    return this.cumulative().entropy(this.low, this.high);
  }
};

// src/heart/rules/rule.ts
var ORACLES = /* @__PURE__ */ new Map([
  ["oracle_size", "keep as many top-ranked events as there are valid ones"],
  ["oracle_validity", "keep the valid tokens only, with the model's probabilities"],
  ["oracle_shape", "keep the valid tokens only, each in proportion to the answers below it"]
]);
var Rule = class {
  /**
   * @param steps applied first to last
   * @param oracle a name in `ORACLES`, or undefined for a rule that an engine can run
   * @param engine the preset whose order and details it follows; undefined: the order as written
   */
  constructor(steps, oracle, engine) {
    this.steps = steps;
    this.oracle = oracle;
    this.engine = engine;
  }
  steps;
  oracle;
  engine;
  /** The rule as it is written, canonically: `temperature=1.5,min_p=0.1`. */
  toString() {
    return [...this.steps.map(String), ...this.oracle ? [this.oracle] : []].join(",");
  }
  /** What a front is drawn for: the steps' names without temperature, or `temperature` alone. */
  get family() {
    const names = this.steps.map((step) => step.name).filter((name) => name !== "temperature");
    return [...names, ...this.oracle ? [this.oracle] : []].join("+") || "temperature";
  }
  /** Whether it keeps the top of the ranking at every prefix. */
  get isCutoff() {
    return this.oracle === void 0 && this.steps.every((step) => step.isCutoff);
  }
  /** The rule as a person tells it from others: with the engine that it follows. */
  get label() {
    return this.engine ? `${this} [${this.engine}]` : String(this);
  }
  /** Product of all temperatures; 0 for a greedy rule. */
  get temperature() {
    return this.steps.reduce(
      (product, step) => step instanceof Temperature ? product * step.value : product,
      1
    );
  }
  /** What the steps keep at a row; the weights of a mixture sum to 1. */
  windows(masses, row) {
    let windows = [Window.whole(masses, row)];
    for (const step of this.steps) windows = windows.flatMap((window) => step.apply(window));
    return windows;
  }
};
function parseRule(text2, engine) {
  text2 = text2.trim();
  if (engine !== void 0 && !ENGINES.has(engine)) {
    const names = [...ENGINES.keys()].join(", ");
    throw new RuleError(`engine ${quoted(engine)} is unknown; choose one of ${names}`);
  }
  const preset = ENGINES.get(text2);
  if (preset) {
    if (engine !== void 0 && engine !== text2) {
      const clash = `is that engine's default and cannot follow ${quoted(engine)} too`;
      throw new RuleError(`rule ${quoted(text2)} ${clash}`);
    }
    return parseRule(preset.defaults, text2);
  }
  const { steps, oracle } = parseSteps(text2);
  const ordered = engine === void 0 ? steps : inEngineOrder(steps, engine, text2);
  if (oracle && ordered.some((step) => step.name !== "temperature")) {
    throw new RuleError(`rule ${quoted(text2)}: only temperature may come before ${oracle}`);
  }
  const kept = ordered.filter((step) => !step.isNeutral);
  const rule = new Rule(kept.length || oracle ? kept : [new Temperature(1)], oracle, engine);
  if (rule.temperature && !new Temperature(rule.temperature).inRange()) {
    throw new RuleError(
      `rule ${quoted(text2)}: its temperatures multiply to ${shortText(rule.temperature)}; temperature takes ${accepts("temperature")}`
    );
  }
  return rule;
}
function parseSteps(text2) {
  const steps = [];
  let oracle;
  for (const part of text2.split(",")) {
    const equals = part.indexOf("=");
    const name = (equals < 0 ? part : part.slice(0, equals)).trim();
    const value = equals < 0 ? "" : part.slice(equals + 1).trim();
    const refuse = (reason) => new RuleError(`rule ${quoted(text2)}: ${reason}`);
    if (oracle) throw refuse(`${oracle} must come last, but ${name} follows it`);
    if (ORACLES.has(name)) {
      if (equals >= 0) throw refuse(`${name} takes no parameter`);
      oracle = name;
    } else if (!STEPS.has(name)) {
      throw refuse(unknown(name));
    } else if (!value) {
      throw refuse(`${name} needs a value; it takes ${accepts(name)}`);
    } else {
      steps.push(parseStep(name, value));
    }
  }
  return oracle ? { steps, oracle } : { steps };
}
function unknown(name) {
  const known = [...STEPS.keys(), ...ORACLES.keys(), ...ENGINES.keys()];
  const close = closest(name, known);
  const hint = close ? `did you mean ${close}?` : `choose among ${known.join(", ")}`;
  return `${name || "an empty step"} is unknown; ${hint}`;
}
function inEngineOrder(steps, engine, text2) {
  const { order, exactTopK } = ENGINES.get(engine);
  const byName = /* @__PURE__ */ new Map();
  const refuse = (reason) => new RuleError(`rule ${quoted(text2)}: ${engine} ${reason}`);
  for (const step of steps) {
    if (!order.includes(step.name)) {
      throw refuse(`has no ${step.name}; it has ${order.join(", ")}`);
    }
    if (byName.has(step.name)) throw refuse(`applies ${step.name} once, but it is given twice`);
    byName.set(step.name, step);
  }
  return order.flatMap((name) => byName.get(name) ?? []).map((step) => exactTopK && step instanceof TopK ? new ExactTopK(step.value) : step);
}

// src/heart/unit.ts
var Unit = class {
  constructor(facts, columns) {
    this.facts = facts;
    const ints = (name) => columns[name];
    const floats = (name) => columns[name];
    this.trie = new Trie(
      ints("parent"),
      ints("token"),
      ints("answer"),
      ints("complete"),
      facts.answers.length,
      facts.end_tokens
    );
    const ranked = {
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
      strayRank: ints("stray_rank")
    };
    this.ranked = new Ranked(facts.vocab_size, ranked);
    this.masses = new Masses(this.ranked);
    this.events = new Events(this.ranked, this.trie);
    this.tokens = new Map(
      facts.token_bytes.map((bytes, index) => [
        ints("token_id")[index],
        Uint8Array.from(bytes, (character) => character.charCodeAt(0))
      ])
    );
    this.tried = facts.rules.map((rule, index) => ({
      ...rule,
      validity: floats("validity")[index],
      diversity: floats("diversity")[index]
    }));
    this.defaultRule = parseRule(facts.default_rule.rule, facts.default_rule.engine ?? void 0);
  }
  facts;
  trie;
  ranked;
  masses;
  events;
  tried;
  defaultRule;
  tokens;
  get model() {
    return this.facts.model;
  }
  get task() {
    return this.facts.task;
  }
  get answers() {
    return this.facts.answers;
  }
  /** Apply a rule, which may be written as text. */
  outcome(rule) {
    return evaluate(this, typeof rule === "string" ? parseRule(rule) : rule);
  }
  /** A token as a person reads it; the end is `⏹`, unknown bytes are `�`. */
  tokenText(token) {
    return token === END ? "⏹" : text([this.bytes(token)]) || `<${token}>`;
  }
  /** The text of the answer so far at a node, with `⏹` where it has ended; empty at the root. */
  prefixText(node) {
    const path = this.trie.path(node).map((each) => this.trie.token[each]);
    const own = path.filter((token) => token !== END);
    return text(own.map((token) => this.bytes(token))) + (own.length < path.length ? "⏹" : "");
  }
  bytes(token) {
    return this.tokens.get(token) ?? new Uint8Array();
  }
};
function text(parts) {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return parts.map((part) => decoder.decode(part, { stream: true })).join("") + decoder.decode();
}

// src/heart/decode.ts
var FORMAT = 1;
async function decode(text2) {
  const stream = await inflate(Uint8Array.from(atob(text2), (byte) => byte.charCodeAt(0)));
  const size = new DataView(stream.buffer).getUint32(0, true);
  let at = 4 + size;
  const header = JSON.parse(new TextDecoder().decode(stream.subarray(4, at)));
  if (header.format !== FORMAT) {
    throw new Error(`this page reads format ${FORMAT}, but its data have ${header.format}`);
  }
  return header.units.map(({ columns: described, ...facts }) => {
    const columns = {};
    for (const each of described) {
      const count = each.shape.reduce((product, length) => product * length, 1);
      columns[each.name] = column(stream.subarray(at, at += 4 * count), each);
    }
    return new Unit(facts, columns);
  });
}
async function inflate(bytes) {
  const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(inflated).arrayBuffer());
}
function column(bytes, { type, step }) {
  const count = bytes.length / 4;
  const words = new Int32Array(count);
  let word = 0;
  for (let index = 0; index < count; index++) {
    word += bytes[index] | bytes[count + index] << 8 | bytes[2 * count + index] << 16 | bytes[3 * count + index] << 24;
    words[index] = word |= 0;
  }
  if (type === "float") return new Float32Array(words.buffer);
  return step === 1 ? words : Float32Array.from(words, (each) => each * step);
}

// src/heart/step.ts
var RARE = 0.1;
function stepAt(outcome, node) {
  const { probe, rule } = outcome;
  const { trie, ranked, events, masses } = probe;
  const row = ranked.rowOf(node);
  if (row === void 0) return void 0;
  const beta = 1 / (rule.temperature || 1);
  const total = masses.at(row, beta, 0).total;
  const places = listed(outcome, row).map((event) => {
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
      status: child < 0 ? "invalid" : before < RARE * fair ? "rare" : "valid"
    };
  });
  places.sort((a, b) => a.rank - b.rank);
  const deleted = (rank) => Math.max(events.endsUpto(row, rank) - 1, 0);
  const windows = rule.oracle ? [] : rule.windows(masses, row).map(({ low, high, weight }) => ({
    low: low - deleted(low),
    high: high - deleted(high),
    weight
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
    rest: Math.max(1 - sum(places.map(({ probability }) => probability)), 0)
  };
}
function listed(outcome, row) {
  const { trie, ranked, events } = outcome.probe;
  const { headToken, headLogit, validToken, validRank } = ranked.columns;
  const ends = [];
  for (let index = events.endStart[row]; index < events.endStart[row + 1]; index++) {
    ends.push({ rank: events.endRank[index], gap: events.endGap[index] });
  }
  const valid = [];
  for (let event = events.start[row]; event < events.start[row + 1]; event++) {
    const index = events.first[event];
    const child = events.child[event];
    const only = { rank: validRank[index], gap: ranked.validGap(row, index) };
    const isEnd = trie.token[child] === END;
    const tokens = isEnd && ends.length ? ends : [only];
    valid.push({ token: isEnd ? END : validToken[index], child, tokens });
  }
  const known = /* @__PURE__ */ new Set([...trie.endTokens, ...valid.map(({ token }) => token)]);
  const invalid = [];
  for (let rank = 1; rank <= Math.min(ranked.named, ranked.columns.nFinite[row]); rank++) {
    const token = headToken[row * ranked.named + rank - 1];
    const gap = ranked.maxLogit(row) - headLogit[row * ranked.head + rank - 1];
    if (!known.has(token)) invalid.push({ token, child: -1, tokens: [{ rank, gap }] });
  }
  const endIsValid = valid.some(({ token }) => token === END);
  if (!endIsValid && ends.length) invalid.push({ token: END, child: -1, tokens: ends });
  return [...valid, ...invalid];
}
function underRule(outcome, row, event, rank) {
  const { probe, rule } = outcome;
  const { trie, ranked, events, masses } = probe;
  const { child, tokens } = event;
  const q = child < 0 ? 0 : Math.exp(outcome.edgeLogp[child]);
  if (rule.oracle === "oracle_size") {
    const deleted = Math.max(events.endCount(row) - 1, 0);
    const g = trie.childCount[ranked.columns.node[row]];
    const count = Math.min(g, ranked.columns.nFinite[row] - deleted);
    const kept2 = rank <= count && tokens[0].gap < Infinity ? 1 : 0;
    if (child >= 0 || !kept2) return { probability: q, kept: kept2 };
    if (rule.temperature === 0) return { probability: rank === 1 ? 1 : 0, kept: kept2 };
    const beta = 1 / rule.temperature;
    const { last, hasEnd } = events.topTokens(row, count);
    const beyond = hasEnd ? events.endMassBeyond(row, last, beta) : 0;
    const mass = masses.at(row, beta, 0).upto(last) + beyond;
    return { probability: sum(tokens.map(({ gap }) => Math.exp(-beta * gap))) / mass, kept: kept2 };
  }
  if (rule.oracle) return { probability: q, kept: child < 0 ? 0 : 1 };
  let probability = 0;
  let kept = 0;
  for (const window of rule.windows(masses, row)) {
    const inside = tokens.filter((token) => window.has(token.rank));
    if (!inside.length) continue;
    const logMass = window.logMass();
    kept += window.weight;
    probability += window.weight * sum(inside.map(({ gap }) => Math.exp(-window.beta * gap - logMass)));
  }
  return { probability, kept };
}
function sum(values) {
  return values.reduce((total, each) => total + each, 0);
}
export {
  END,
  ENGINES,
  Events,
  Mass,
  Masses,
  ORACLES,
  Outcome,
  ROOT,
  Ranked,
  Rule,
  RuleError,
  SHARES,
  STEPS,
  Step,
  Trie,
  Unit,
  Window,
  accepts,
  attribute,
  decode,
  evaluate,
  measures_exports as measures,
  numberText,
  parseRule,
  parseStep,
  stepAt
};
