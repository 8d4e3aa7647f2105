/** Metrics of predicted ratings, and of predicted probabilities. */

export interface RatingMetrics {
  RMSE: number;
  MAE: number;
}

export function ratingMetrics(ratings: ArrayLike<number>, predicted: ArrayLike<number>): RatingMetrics {
  const n = ratings.length;
  let [squares, absolute] = [0, 0];
  for (let i = 0; i < n; i++) {
    const error = predicted[i] - ratings[i];
    squares += error * error;
    absolute += Math.abs(error);
  }
  return { RMSE: Math.sqrt(squares / n), MAE: absolute / n };
}

export interface ClickMetrics {
  accuracy: number;
  /** Of the positive class, at a probability of at least 0.5; 0 where nothing is predicted, or is, positive. */
  precision: number;
  recall: number;
  F1: number;
  /** Area under the ROC curve, ties counting half; null where all labels are the same, which have no curve. */
  AUC: number | null;
  logLoss: number;
  /** Mean squared error of the probability. */
  Brier: number;
  /** Expected calibration error over ten bins of equal width (Guo et al., ICML 2017, eq. 3). */
  ECE: number;
}

/** A bin of the reliability diagram. */
export interface CalibrationBin {
  from: number;
  to: number;
  count: number;
  /** Means of the bin. */
  predicted: number;
  observed: number;
}

const BINS = 10;
/** Probabilities are kept this far from 0 and 1 in the log-loss. */
const CLIP = 1e-7;

export function clickMetrics(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
): { metrics: ClickMetrics; calibration: CalibrationBin[] } {
  const n = labels.length;
  let [hits, positive, said, right, loss, squares] = [0, 0, 0, 0, 0, 0];
  const bins = Array.from({ length: BINS }, () => ({ count: 0, predicted: 0, observed: 0 }));
  for (let i = 0; i < n; i++) {
    const [y, p] = [labels[i], probabilities[i]];
    const yes = p >= 0.5 ? 1 : 0;
    hits += Number(yes === y);
    positive += y;
    said += yes;
    right += yes * y;
    loss -= Math.log(Math.max(CLIP, y ? p : 1 - p));
    squares += (p - y) ** 2;
    const bin = bins[Math.min(BINS - 1, Math.max(0, Math.floor(p * BINS)))];
    bin.count++;
    bin.predicted += p;
    bin.observed += y;
  }
  const [precision, recall] = [said > 0 ? right / said : 0, positive > 0 ? right / positive : 0];
  const metrics = {
    accuracy: hits / n,
    precision,
    recall,
    F1: precision + recall > 0 ? (2 * precision * recall) / (precision + recall) : 0,
    AUC: areaUnderCurve(labels, probabilities, positive),
    logLoss: loss / n,
    Brier: squares / n,
    ECE: bins.reduce((sum, b) => sum + Math.abs(b.predicted - b.observed), 0) / n,
  };
  const calibration = bins.map(({ count, predicted, observed }, i) => ({
    from: i / BINS,
    to: (i + 1) / BINS,
    count,
    predicted: count > 0 ? predicted / count : 0,
    observed: count > 0 ? observed / count : 0,
  }));
  return { metrics, calibration };
}

/** The rank-sum statistic (Mann & Whitney 1947), with mean ranks for ties. */
export function areaUnderCurve(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  positive: number,
): number | null {
  const n = labels.length;
  if (positive === 0 || positive === n) return null;
  const order = Uint32Array.from({ length: n }, (_, i) => i).sort((a, b) => probabilities[a] - probabilities[b]);
  let ranks = 0;
  for (let from = 0; from < n; ) {
    let to = from;
    let there = 0;
    while (to < n && probabilities[order[to]] === probabilities[order[from]]) there += labels[order[to++]];
    ranks += (there * (from + 1 + to)) / 2;
    from = to;
  }
  return (ranks - (positive * (positive + 1)) / 2) / (positive * (n - positive));
}
