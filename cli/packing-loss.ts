/** What compressing a model's weights costs: NDCG@10 of the model and of its packed file on the same users. */
import { InputError } from '../data/errors.ts';
import { permutation } from '../engine/index.ts';
import { pathsExist } from './input/paths.ts';
import { trainingFacts } from '../train/evaluation/collector.ts';
import { usersWithTarget } from '../train/evaluation/evaluate.ts';
import { gainOf } from '../train/evaluation/statistics.ts';
import type { PackFlags } from './commands/pack.flags.ts';
import { openDevice, type Output } from './common.ts';
import {
  type Judged,
  type LogFlags,
  openJudged,
  openLogOf,
  rankByModel,
  requireHeldOut,
  splitFor,
} from './evaluation.ts';
import { holdsRatings } from './input/ratings.ts';

/** Users that are compared at most, drawn by a fixed seed. */
const MOST_USERS = 5000;

interface Ndcg {
  before: number;
  after: number;
  /** Mean of the users' differences, after less before, and its standard error. */
  change: number;
  standardError: number;
  users: number;
}

/** @throws InputError where `--data` names a log that cannot be read or does not fit; without it says why nothing was measured */
export async function lossOfPacking(flags: PackFlags, out: Output): Promise<{ ndcg: Ndcg } | { notMeasured: string }> {
  if (await holdsRatings(flags.model)) return { notMeasured: 'the model predicts ratings' };
  const [before, after] = [await openJudged(flags.model, out), await openJudged(flags.out, out)];
  if (flags.data !== undefined) return { ndcg: await ndcgOf(before, after, { ...flags, data: flags.data }, out) };
  const { source, usersFile } = before.loaded.config.data;
  if (!pathsExist(source)) {
    return { notMeasured: `${source}, the log of the training, cannot be read here; --data PATH names one` };
  }
  try {
    return { ndcg: await ndcgOf(before, after, { ...flags, data: source, users: flags.users ?? usersFile }, out) };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { notMeasured: error.message };
  }
}

async function ndcgOf(before: Judged, after: Judged, flags: LogFlags & PackFlags, out: Output): Promise<Ndcg> {
  const split = await splitFor(before, await openLogOf(before, flags, out), flags, out);
  await requireHeldOut(before, split, flags, out);
  const all = usersWithTarget(split, flags.split);
  const users = permutation(all.length, 1, 0)
    .slice(0, MOST_USERS)
    .map((i) => all[i])
    .sort();
  const device = await openDevice(flags.device, out);
  try {
    const includeSeen = before.loaded.config.seen === 'kept';
    const options = { split: flags.split, includeSeen, users, components: false, facts: trainingFacts(split) };
    const a = await rankByModel(device, before, split, options, flags.progress);
    const b = await rankByModel(device, after, split, options, flags.progress);
    const { mean, error } = gainOf(a.perUser['NDCG@10'], b.perUser['NDCG@10']);
    const [x, y] = [a, b].map(({ metrics }) => metrics['NDCG@10']);
    return { before: x, after: y, change: mean, standardError: error, users: users.length };
  } finally {
    device.close();
  }
}
