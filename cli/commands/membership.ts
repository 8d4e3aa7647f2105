/** `attune evaluate --membership`: how well the losses of users tell that a model was trained on them. */
import type { EvaluateFlags } from './evaluate.flags.ts';
import { InputError } from '../../data/errors.ts';
import type { Split } from '../../data/splits/split.ts';
import type { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { RankingModel } from '../../model/inference/ranking-model.ts';
import { loadTraining, type TrainingRecord } from '../../model/storage/training-record.ts';
import { openPath } from '../../recommend/sources/sources.node.ts';
import { attackByLoss, userLosses } from '../../train/privacy/membership.ts';
import { openDevice, Output } from '../common.ts';
import { type Judged, openJudged, openLogOf, splitFor } from '../evaluation.ts';
import { createProgress, formatCount } from '../output/ui.ts';

/** @param flags with `membership`, the log of the outsiders */
export async function runMembership(flags: EvaluateFlags & { membership: string }): Promise<void> {
  const out = new Output(flags.json);
  const judged = await openJudged(flags.model, out);
  const { config, weights } = judged.loaded;
  const record = await loadTraining(await openPath(flags.model));
  if (!record) out.warn(`${flags.model}: holds no record of its training: who is in which log is taken for granted`);
  const members = await usersOf(judged, flags, flags.data, record, true, out);
  const outsiders = await usersOf(judged, flags, flags.membership, record, false, out);
  const device = await openDevice(flags.device, out);
  try {
    const model = await RankingModel.load(device, judged.loaded, 'none');
    const total = members.users.length + outsiders.users.length;
    const bar = createProgress({ total, force: flags.progress });
    try {
      const own = await lossesOf(model.encoder, members, (done) => bar.update(done, { phase: 'losses' }));
      const others = await lossesOf(model.encoder, outsiders, (done) => bar.update(own.length + done, {}));
      const found = attackByLoss(own, others);
      const { privacy } = config;
      out.object({
        membership: found,
        model: { path: flags.model, recipe: config.recipe, step: weights.step, privacy },
      });
      const { advantage, chance, auc, low, high, loss } = found;
      if (model.blend) out.note('The transformer alone is attacked; item transitions tell of users, too.');
      out.line(
        `\nMembership by loss: ${formatCount(found.members)} users of ${flags.data}, ${formatCount(found.outsiders)} of ${flags.membership}; mean loss ${loss.members.toFixed(3)} and ${loss.outsiders.toFixed(3)} nats an event.`,
      );
      out.line(
        `Advantage ${advantage.toFixed(3)} (up to ${chance.toFixed(3)} by chance), AUC ${auc.toFixed(3)} (95 % interval ${low.toFixed(3)} to ${high.toFixed(3)}; a guess has 0.5).`,
      );
    } finally {
      bar.stop();
      model.dispose();
    }
  } finally {
    device.close();
  }
}

interface Users {
  split: Split;
  users: number[];
}

/** The users of a log that have something to predict, and were trained on or not. @throws InputError where there is none */
async function usersOf(
  judged: Judged,
  flags: EvaluateFlags,
  data: string,
  record: TrainingRecord | null,
  trained: boolean,
  out: Output,
): Promise<Users> {
  const of = { ...flags, data };
  const split = await splitFor(judged, await openLogOf(judged, of, out), of, out);
  const { userIds } = split.dataset;
  const able = userIds.map((_, u) => u).filter((u) => split.trainLength(u) >= 2);
  const users = able.filter((u) => !record || record.eventsOf(userIds[u]) > 0 === trained);
  if (users.length === 0)
    throw new InputError(
      'mismatched-data',
      trained ? `${data}: none of its users was trained on` : `${data}: all of its users were trained on`,
      { hint: trained ? 'give the log of the training' : 'give a log of other users' },
    );
  if (users.length < able.length)
    out.note(
      `${data}: ${formatCount(able.length - users.length)} users are left out, who were ${trained ? 'not ' : ''}trained on`,
    );
  return { split, users };
}

const lossesOf = (model: SequenceModel, { split, users }: Users, onProgress: (done: number) => void) =>
  userLosses(model, split, users, onProgress);
