/** A sample of the users of a large log, for what counts pairs of events: its memory would grow with the log. */
import type { Pieces } from '../pieces.ts';
import { spanAt } from '../spans.ts';
import { FINAL } from './protocol.ts';
import { type Split, splitDataset } from './split.ts';

/** Training events that pairs are counted of at most. */
const MOST_EVENTS = 1 << 22;

/** Every how-manieth user is in the sample; 1: all of them. */
export function sampleEvery(split: Split, most = MOST_EVENTS): number {
  let events = 0;
  for (let u = 0; u < split.users; u++) events += split.trainLength(u);
  return Math.max(1, Math.ceil(events / most));
}

/** Samples that were taken before: item transitions and every Markov chain ask for the same one. */
const taken = new WeakMap<Split, Split>();

/** The training histories of every n-th user, in memory, with the item rows of the split; the split itself for all users. */
export function* sampleUsers(split: Split, most = MOST_EVENTS): Pieces<Split> {
  const every = sampleEvery(split, most);
  if (every === 1) return split;
  const known = taken.get(split);
  if (known && most === MOST_EVENTS) return known;
  const users = Uint32Array.from({ length: Math.ceil(split.users / every) }, (_, i) => i * every);
  const offsets = new Uint32Array(users.length + 1);
  for (const [i, u] of users.entries()) offsets[i + 1] = (offsets[i] as number) + split.trainLength(u);
  const items = new Uint32Array(offsets[users.length] as number);
  for (const [i, u] of users.entries()) {
    items.set(split.history(u, 'train'), spanAt(offsets, i)[0]);
    yield;
  }
  const { itemIds, userIds, report } = split.dataset;
  const ids = Array.from(users, (u) => userIds[u] as string);
  const dataset = { userIds: ids, itemIds, offsets, items, ratings: null, times: null, clock: null, report };
  const sample = splitDataset(dataset, FINAL);
  if (most === MOST_EVENTS) taken.set(split, sample);
  return sample;
}
