/**
 * How much privacy a training spends: Rényi differential privacy (RDP) of the Gaussian mechanism on users drawn at random
 * (Mironov, Talwar & Zhang, "Rényi Differential Privacy of the Sampled Gaussian Mechanism", 2019). Each step draws every
 * user with probability q and adds noise N(0, σ²C²) to a sum to which a user contributes at most norm C. For the order α
 * a step costs log A(α) / (α − 1), with
 *
 *   A(α) = E[ ((1 − q) + q · exp((2z − 1) / 2σ²))^α ],  z ~ N(0, σ²)                             (section 3.3)
 *        = Σ C(α, k) (1 − q)^(α−k) q^k exp((k² − k) / 2σ²),  k = 0 … α, for integers α           (eq. 30)
 *
 * Steps add up, and what they come to is (ε, δ)-differential privacy for
 *
 *   ε = RDP(α) + log((α − 1) / α) − (log δ + log α) / (α − 1),  the least over α
 *
 * (Canonne, Kamath & Steinke, "The Discrete Gaussian for Differential Privacy", 2020, proposition 12; Balle et al. 2020).
 * Two logs are neighbors where one has one user more. Pure arithmetic in double precision: no device, no random numbers.
 */

/** Some steps of the Gaussian mechanism, each on users drawn anew. */
export interface Mechanism {
  /** q: the probability that a user is drawn, independently of all others; 1: all are. */
  rate: number;
  /** σ: the noise's standard deviation over the clipping norm. */
  noise: number;
  steps: number;
}

/** α: tenths up to 11, where few steps or little noise have their optimum, then integers, farther and farther apart. */
const ORDERS: readonly number[] = [
  ...Array.from({ length: 99 }, (_, i) => 1 + (i + 1) / 10),
  ...Array.from({ length: 53 }, (_, i) => 11 + i),
  ...[72, 80, 96, 112, 128, 160, 192, 256, 384, 512, 768, 1024],
];

/** The noise multiplier is found this closely, as a share of it. */
const PRECISION = 1e-4;
const MOST_NOISE = 2 ** 20;
/** Standard deviations beyond which a Gaussian has nothing that counts. */
const TAIL = 12;

/**
 * RDP of one step for an order α > 1; infinite without noise.
 * @throws Error for numbers out of range
 */
export function rdpOf({ rate, noise }: Pick<Mechanism, 'rate' | 'noise'>, order: number): number {
  if (!(rate >= 0 && rate <= 1 && noise >= 0 && order > 1))
    throw new Error(
      `accountant: expected a rate in [0, 1], noise >= 0 and an order > 1, got ${rate}, ${noise} and ${order}`,
    );
  if (rate === 0) return 0;
  if (noise === 0) return Number.POSITIVE_INFINITY;
  if (rate === 1) return order / (2 * noise ** 2);
  const logA = Number.isInteger(order) ? logMoment(rate, noise, order) : logMomentByQuadrature(rate, noise, order);
  // A ≥ 1: below it is rounding alone.
  return Math.max(0, logA) / (order - 1);
}

/** log A for an integer order, by the binomial sum. */
function logMoment(q: number, sigma: number, order: number): number {
  const terms = new Float64Array(order + 1);
  let logChoose = 0;
  for (let k = 0; k <= order; k++) {
    if (k > 0) logChoose += Math.log((order - k + 1) / k);
    terms[k] = logChoose + k * Math.log(q) + (order - k) * Math.log1p(-q) + (k * k - k) / (2 * sigma ** 2);
  }
  return logSum(terms);
}

/**
 * log A for any order, by the trapezoid rule over t = z / σ. The integrand is analytic and falls off like a Gaussian, so
 * that its error falls exponentially with the step (Trefethen & Weideman 2014); its poles are π σ off the real line.
 */
export function logMomentByQuadrature(q: number, sigma: number, order: number): number {
  const h = Math.min(1 / 8, sigma / 4);
  const count = Math.ceil((order / sigma + 2 * TAIL) / h);
  const terms = new Float64Array(count + 1);
  for (let i = 0; i <= count; i++) {
    const t = i * h - TAIL;
    const y = (2 * sigma * t - 1) / (2 * sigma ** 2);
    const logRatio = y > 0 ? y + Math.log(q + (1 - q) * Math.exp(-y)) : Math.log1p(q * Math.expm1(y));
    terms[i] = order * logRatio - t ** 2 / 2;
  }
  return logSum(terms) + Math.log(h) - Math.log(2 * Math.PI) / 2;
}

/** log Σ exp(terms). */
function logSum(terms: Float64Array): number {
  const most = terms.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return most + Math.log(terms.reduce((sum, term) => sum + Math.exp(term - most), 0));
}

/**
 * ε for which these steps, one after the other, are (ε, δ)-differentially private; infinite without noise.
 * @param orders α that are tried: any of them is a bound, the least is given
 * @throws Error for numbers out of range
 */
export function epsilonOf(mechanisms: readonly Mechanism[], delta: number, orders: readonly number[] = ORDERS): number {
  if (!(delta > 0 && delta < 1)) throw new Error(`accountant: expected a delta in (0, 1), got ${delta}`);
  const spent = mechanisms.filter(({ rate, steps }) => rate > 0 && steps > 0);
  if (spent.length === 0) return 0;
  let least = Number.POSITIVE_INFINITY;
  for (const order of orders) {
    const rdp = spent.reduce((sum, mechanism) => sum + mechanism.steps * rdpOf(mechanism, order), 0);
    const epsilon = rdp + Math.log1p(-1 / order) - (Math.log(delta) + Math.log(order)) / (order - 1);
    least = Math.min(least, epsilon);
  }
  return Math.max(0, least);
}

/**
 * The least noise multiplier σ with which so many steps spend at most ε at δ, rounded up.
 * @returns null where no noise is enough: this accountant does not go down to such an ε
 */
export function noiseFor(epsilon: number, delta: number, rate: number, steps: number): number | null {
  const fits = (noise: number): boolean => epsilonOf([{ rate, noise, steps }], delta) <= epsilon;
  let high = 1;
  while (!fits(high)) {
    high *= 2;
    if (high > MOST_NOISE) return null;
  }
  let low = high === 1 ? 0 : high / 2;
  while (high - low > PRECISION * high) {
    const middle = (low + high) / 2;
    if (fits(middle)) high = middle;
    else low = middle;
  }
  return high;
}
