/** bce that calibrates the target's probability for the number of negatives (gSASRec; Petrov & Macdonald, RecSys 2023). */
import { share } from '../../recipes/setting.ts';
import { type LossKind, overSamples } from './loss.ts';

/** β = α (t (1 − 1/α) + 1/α) with the sampling rate α = N / (V − 1) (eq. 14). @param calibration t */
export function calibratedBeta(calibration: number, negatives: number, items: number): number {
  const alpha = Math.min(1, negatives / Math.max(1, items - 1));
  return calibration * (alpha - 1) + 1;
}

const settings = { calibration: share(0.75, 'gbce: t, from 0 (bce) to 1 (fully calibrated)') };

export const gbce: LossKind & { settings: typeof settings } = {
  help: 'bce that corrects for how few negatives there are',
  settings,
  sampled: true,
  forward(batch, { calibration }) {
    const n = batch.negatives?.ids.shape[1] ?? 0;
    return overSamples(batch, 'bce', calibratedBeta(calibration, n, batch.items));
  },
};
