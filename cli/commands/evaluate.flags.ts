import { kebab } from '../flags/names.ts';
import { UsageError } from '../errors.ts';
import { choiceFlag, command, type FlagsOf, on, onUnless, text, withoutDefault } from '../flags/declare.ts';
import { decodeFlags } from '../flags/decoding.ts';
import { CONDITION_HELP, postProcessingFlags } from '../flags/post-processing.ts';
import {
  data,
  logFlags,
  model,
  modelsProtocol,
  PROTOCOL_HELP,
  requestTime,
  runFlags,
  split,
  users,
} from '../flags/shared.ts';
import { integerFlag } from '../flags/values.ts';

const flags = {
  model,
  data: data('the log'),
  predict: withoutDefault(
    choiceFlag('<point>', 'with ratings: the point prediction of the predicted distribution', ['mean', 'median']),
    'mean, which is best for RMSE; median, best for MAE, with the split last',
  ),
  users,
  split: split("the target: each user's last interaction (test) or the one before it (valid)"),
  protocol: modelsProtocol("the model's own"),
  requestTime,
  includeSeen: on('rank items that the user had before, too (default: they are excluded)'),
  baselines: onUnless('leave out popularity, Markov chains, EASE and their blend'),
  groups: text(
    '<names>',
    'compare groups of users and items: columns of --users, attributes, history, popularity, as in gender,age,genre',
  ),
  dump: text('<file.jsonl>', 'write the ranks and the 100 best items of every user'),
  next: integerFlag('<n>', "instead: continue histories by n items, compare with users' next n events", 1),
  membership: text(
    '<outsiders>',
    'instead: a log of users who were not trained on; how well the loss tells those of --data from them',
  ),
  beside: text('<path>', 'with --next: another model on the same users'),
  ...logFlags,
  ...decodeFlags,
  ...postProcessingFlags,
  ...runFlags,
};

/** Of a model of ratings. */
export type EvaluateRatingFlags = FlagsOf<typeof flags>;
/** With the log, which only a model of ratings can do without. */
export type EvaluateFlags = FlagsOf<typeof flags> & { data: string };

/** Flags that only --next reads. */
const NEXT_FLAGS = ['beside', ...Object.keys(decodeFlags)];

export default command({
  name: 'evaluate',
  summary: 'Rank held-out items by a model and by simple baselines',
  details:
    'Each user\'s held-out item is ranked among all items, under the protocol that the model was trained with; another protocol is refused where its targets were in the training data. The log is filtered as it was for training. --dump writes one line for each user, {"user","target","rank","items":[100 IDs, best first],"scores"}; rank is null where the target was excluded as seen, which counts as a miss. Protocols with several targets write "targets" and "ranks". With --where, --allow, --deny, --diversity, --cap, --calibrate, --expose or --popularity-penalty a table shows what each costs in NDCG and gains in coverage, and all of them together. --groups says who is served worse: metrics of each group of users with intervals, gaps with the p-value of a permutation test, unfairness, and the exposure of groups of items, for the model and the baselines. For a model of ratings (--task rating or ctr) the out-of-fold predictions of its training are reported, and --dump writes one line for each tested rating; --data may be left out where the log has not moved.',
  example: 'evaluate --model my-model --data ratings.csv --dump ranks.jsonl',
  flags,
  notes: [PROTOCOL_HELP, CONDITION_HELP],
  async run(flags, { typed }) {
    if (await (await import('../input/ratings.ts')).holdsRatings(flags.model)) {
      return (await import('./evaluate-ratings.ts')).runEvaluateRatings(flags, typed);
    }
    const { data, next } = flags;
    if (data === undefined) throw new UsageError('--data PATH is missing: the log to evaluate on');
    if (next !== undefined && flags.groups !== undefined)
      throw new UsageError('--groups compares lists of one moment; it cannot be combined with --next');
    if (next !== undefined) return (await import('../output/next-events.ts')).runNext({ ...flags, data, next });
    const { membership } = flags;
    if (membership !== undefined)
      return (await import('./membership.ts')).runMembership({ ...flags, data, membership });
    const idle = NEXT_FLAGS.find((flag) => typed.has(flag));
    if (idle) throw new UsageError(`${kebab(idle)} requires --next`);
    await (await import('./evaluate.ts')).runEvaluate({ ...flags, data });
  },
});
