/**
 * Measures of a distribution over answers, from ln q(y) of every valid answer, and frontiers over
 * rules. Mirrors `breadth.measures.answers` and `breadth.measures.frontier`.
 */

/** The largest sample count that float64 still tells from its neighbours. */
const MAX_SAMPLES = 2 ** 53;

/** Shares of |V| for which the number of samples needed is reported. */
export const SHARES = [0.5, 0.9, 0.99] as const;

function largest(values: Float64Array): number {
  let top = -Infinity;
  for (const value of values) if (value > top) top = value;
  return top;
}

/** ln Val; −Infinity when no answer is ever given. */
export function logValidity(answerLogp: Float64Array): number {
  const top = largest(answerLogp);
  if (top === -Infinity) return top;
  let sum = 0;
  for (const logp of answerLogp) sum += Math.exp(logp - top);
  return top + Math.log(sum);
}

/** Validity, the probability that an answer is valid: Val = Σ q(y), from 0 to 1. */
export function validity(answerLogp: Float64Array): number {
  return Math.exp(Math.min(logValidity(answerLogp), 0));
}

/**
 * Hill number of the distribution over valid answers, as a share of |V|: the number of equally
 * likely answers that would be as diverse. From 1/|V| to 1; NaN when no answer is ever given.
 */
export function hillNumber(answerLogp: Float64Array, order: number): number {
  const top = largest(answerLogp);
  if (top === -Infinity) return NaN;
  // First the maximum, then the rest: one large difference would round away what order ≈ 1
  // magnifies.
  const support = answerLogp.filter((logp) => logp > -Infinity).map((logp) => logp - top);
  const logTotal = Math.log(support.reduce((sum, logp) => sum + Math.exp(logp), 0));
  let logNumber: number;
  if (order === Infinity) {
    logNumber = logTotal;
  } else if (Math.abs(order - 1) < 1e-6) {
    logNumber = -support.reduce((sum, each) => {
      const logp = each - logTotal;
      return sum + Math.exp(logp) * logp;
    }, 0);
  } else {
    const powers = support.reduce((sum, logp) => sum + Math.exp(order * logp), 0);
    logNumber = (Math.log(powers) - order * logTotal) / (1 - order);
  }
  const number = Math.min(Math.max(Math.exp(logNumber), 1), support.length);
  return number / answerLogp.length;
}

/** Diversity, exp(H(q | V)) / |V|: how evenly the valid mass covers the answers. */
export function diversity(answerLogp: Float64Array): number {
  return hillNumber(answerLogp, 1);
}

/** Sequence recall: the share of answers whose every token survives. */
export function recall(answerLogp: Float64Array): number {
  return answerLogp.filter((logp) => logp > -Infinity).length / answerLogp.length;
}

/** Expected number of distinct valid answers among n independent samples: Σ 1 − (1 − q(y))ⁿ. */
export function expectedDistinct(answerLogp: Float64Array, n: number): number {
  if (n <= 0) return 0;
  let sum = 0;
  for (const logp of answerLogp) sum -= Math.expm1(n * Math.log1p(-Math.exp(Math.min(logp, 0))));
  return sum;
}

/** `expectedDistinct` of the ideal sampler, always valid and uniform. */
export function idealDistinct(answers: number, n: number): number {
  if (answers === 1) return Math.min(n, 1);
  return -answers * Math.expm1(n * Math.log1p(-1 / answers));
}

/** Expected distinct valid answers in n samples (|V| if not given), as a share of the ideal's. */
export function coverage(answerLogp: Float64Array, n = answerLogp.length): number {
  return expectedDistinct(answerLogp, n) / idealDistinct(answerLogp.length, n);
}

/** Fewest samples whose expected number of distinct answers is at least share·|V|; or null. */
export function samplesForDistinct(answerLogp: Float64Array, share: number): number | null {
  const target = share * answerLogp.length;
  const support = answerLogp.filter((logp) => logp > -Infinity).length;
  // The support is approached and never reached, unless its only answer is certain.
  const isCertain = support === 1 && largest(answerLogp) >= 0;
  if (target > support || (target === support && !isCertain)) return null;
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

/** A rule's place in the plane of validity and diversity. */
export interface Point {
  readonly validity: number;
  readonly diversity: number;
}

/** The points that no other beats in both, by falling validity and strictly rising diversity. */
export function paretoFront<P extends Point>(points: readonly P[]): P[] {
  const front: P[] = [];
  const order = points
    .filter(({ diversity }) => !Number.isNaN(diversity))
    .sort((a, b) => b.validity - a.validity || b.diversity - a.diversity);
  for (const point of order) {
    if (!front.length || point.diversity > front[front.length - 1].diversity) front.push(point);
  }
  return front;
}

/** The most diverse of the points with at least some validity; of equals the more valid. */
export function bestAt<P extends Point>(points: readonly P[], floor: number): P | undefined {
  const front = paretoFront(points.filter(({ validity }) => validity >= floor));
  return front[front.length - 1];
}
