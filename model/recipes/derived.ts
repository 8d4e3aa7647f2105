/** What follows from settings. */
import type { BatchOptions } from '../../data/batching/batch.ts';
import type { RequestTime } from '../../data/splits/protocol.ts';
import { LOSSES } from '../heads/losses/index.ts';
import type { Settings } from './settings.ts';

/** Whether masked events are what is predicted: an encoder alone that reads in both directions. */
export const isCloze = ({ direction, decoder }: Pick<Settings, 'direction' | 'decoder'>): boolean =>
  direction === 'bidirectional' && decoder === 0;

/** Whether the model reads the times of events. */
export const readsTimes = ({ bias }: Pick<Settings, 'bias'>): boolean => bias === 'time' || bias === 'both';

/** Whether the model reads when the next event is asked for: by setting, or as the time of the event that it fills in. */
export const readsRequestTime = (s: Pick<Settings, 'bias' | 'requestTime' | 'direction' | 'decoder'>): boolean =>
  s.requestTime === 'on' || (isCloze(s) && readsTimes(s));

/** How a model is validated: as it is asked in deployment. */
export const validatedAt = (s: Parameters<typeof readsRequestTime>[0]): RequestTime =>
  readsRequestTime(s) ? 'known' : 'unknown';

/** Whether queries of the attention count from times of their own: from the request's, not from their event's. */
export const hasQueryTimes = (s: Pick<Settings, 'bias' | 'requestTime'>): boolean =>
  s.requestTime === 'on' && readsTimes(s);

/** What similarities are divided by. */
export const temperatureOf = ({ similarity, temperature }: Pick<Settings, 'similarity' | 'temperature'>): number =>
  temperature || (similarity === 'cosine' ? 0.05 : 1);

/** The smallest catalog whose item table is trained by row, and how many times the rows of a step it must have. */
const BY_ROW = { items: 100_000, timesStep: 2 };

/** Whether the item table may be trained by row. */
export const byRowAllowed = (s: Settings): boolean =>
  LOSSES[s.loss].sampled && s.items === 'ids' && s.accumulate === 1 && !(s.ema > 0 && s.embeddingDecay > 0);

/**
 * How many rows of the item table a training step reads at most, where the table's gradient is kept for these alone: with a
 * loss over samples and a large catalog. The weights are the same but for rounding (engine/ops/adamw-rows.ts). Undefined
 * where it is dense. Row-wise Adagrad is always by row, and so are codes, with a loss over samples.
 */
export function touchedRows(s: Settings, items: number): number | undefined {
  const lists = s.budget / (s.negativeGroup || s.budget);
  const rows = 2 * s.budget + lists * s.negatives;
  if (s.items === 'codes') return LOSSES[s.loss].sampled && rows < items ? rows : undefined;
  const large = items >= BY_ROW.items && items >= BY_ROW.timesStep * rows;
  return byRowAllowed(s) && (large || s.tableOptimizer === 'adagrad') ? rows : undefined;
}

/** How batches are made (data/batching/batches.ts). */
export const windowsOf = (s: Settings): Omit<BatchOptions, 'seed' | 'epoch'> => ({
  maxTokens: s.budget,
  window: s.window,
  augment: {
    crop: s.augmentCrop,
    mask: s.augmentMask,
    reorder: s.augmentReorder,
    cropRatio: s.cropRatio,
    maskRatio: s.maskRatio,
    reorderRatio: s.reorderRatio,
  },
  ...(s.requestTime === 'on' ? { requestDropout: s.requestDropout } : {}),
  ...(isCloze(s) ? { cloze: { share: s.maskShare, last: s.maskLast } } : {}),
  ...(s.decoder > 0 ? { continuation: s.continuation } : {}),
});
