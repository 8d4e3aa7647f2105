/** What follows from settings. */
import type { BatchOptions } from '../../data/batching/batch.ts';
import type { Settings } from './settings.ts';

/** Whether masked events are what is predicted: an encoder alone that reads in both directions. */
export const isCloze = ({ direction, decoder }: Pick<Settings, 'direction' | 'decoder'>): boolean =>
  direction === 'bidirectional' && decoder === 0;

/** Whether the model reads the times of events. */
export const readsTimes = ({ bias }: Pick<Settings, 'bias'>): boolean => bias === 'time' || bias === 'both';

/** What similarities are divided by. */
export const temperatureOf = ({ similarity, temperature }: Pick<Settings, 'similarity' | 'temperature'>): number =>
  temperature || (similarity === 'cosine' ? 0.05 : 1);

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
  ...(isCloze(s) ? { cloze: { share: s.maskShare, last: s.maskLast } } : {}),
  ...(s.decoder > 0 ? { continuation: s.continuation } : {}),
});
