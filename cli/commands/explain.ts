/** `attune explain`: how well attention roll-out agrees with leave-one-out occlusion, on a sample of users. */
import type { ExplainFlags } from './explain.flags.ts';
import { seeded } from '../../data/random.ts';
import { type Agreement, agreementOf } from '../../recommend/explanations/agreement.ts';
import type { ExplainMethod, Explanation } from '../../recommend/explanations/explain.ts';
import { BLOCKS } from '../../model/encoders/blocks/index.ts';
import { settingsOf } from '../../model/inference/ranking-model.ts';
import { POINTWISE } from '../../recommend/explanations/heatmap.ts';
import { openPath } from '../../recommend/sources/sources.node.ts';
import { Recommender } from '../../recommend/recommender.ts';
import { usersWithTarget } from '../../train/evaluation/evaluate.ts';
import { bootstrap, type Interval } from '../../train/evaluation/statistics.ts';
import { openDevice, Output } from '../common.ts';
import { openLogOf, openJudged, splitFor } from '../evaluation.ts';
import { createProgress, formatCount, table } from '../output/ui.ts';

export async function runExplain(flags: ExplainFlags): Promise<void> {
  const out = new Output(flags.json);
  const judged = await openJudged(flags.model, out);
  const split = await splitFor(judged, await openLogOf(judged, flags, out), flags, out);
  const users = draw(usersWithTarget(split, flags.split), flags.sample, flags.seed);
  const device = await openDevice(flags.device, out);
  const bar = createProgress({ total: users.length, force: flags.progress });
  const agreements: Agreement[] = [];
  let [explained, transitions] = [0, 0];
  try {
    const recommender = await Recommender.load(await openPath(flags.model), { device });
    for (const [done, u] of users.entries()) {
      bar.update(done, { phase: 'explaining' });
      const history = Array.from(split.history(u, flags.split), (row) => recommender.items[row].id);
      const times = split.times(u, flags.split);
      const features = split.sideFeatures(u, flags.split);
      const known = { history, times: times && Array.from(times), features, now: null };
      const query = { ...known, k: 1, includeSeen: flags.includeSeen };
      const by = async (explain: ExplainMethod) =>
        (await recommender.recommend({ ...query, explain })).items[0]?.explanation;
      const [occlusion, rollout] = [await by('occlusion'), await by('rollout')];
      if (!occlusion || !rollout) continue; // nothing is left to recommend
      explained++;
      transitions += shareOf(occlusion);
      const agreement = agreementOf(occlusion, rollout);
      if (agreement) agreements.push(agreement);
    }
    bar.stop();
    const { config, blended } = judged.loaded;
    const model = `${config.recipe}${blended ? ' with transitions' : ''}`;
    recommender.close();
    report(flags, out, { agreements, users: explained, transitions: transitions / Math.max(1, explained), model });
    if (BLOCKS[settingsOf(judged.loaded).block].attention === 'pointwise') out.note(POINTWISE);
  } finally {
    bar.stop();
    device.close();
  }
}

/** Share of the relative score that the transitions give; what pulls the item down counts as 0. */
function shareOf({ lift }: Explanation): number {
  const [t, m] = [Math.max(0, lift.transformer), Math.max(0, lift.memory)];
  return t + m > 0 ? m / (t + m) : 0;
}

/** n users, the same for one seed. */
function draw(users: Uint32Array, n: number, seed: number): Uint32Array {
  const random = seeded(seed, 0xe7);
  const all = users.slice();
  for (let i = 0; i < Math.min(n, all.length); i++) {
    const j = i + random.below(all.length - i);
    [all[i], all[j]] = [all[j], all[i]];
  }
  return all.subarray(0, n).sort();
}

interface Found {
  agreements: readonly Agreement[];
  users: number;
  transitions: number;
  model: string;
}

function report(flags: ExplainFlags, out: Output, { agreements, users, transitions, model }: Found): void {
  const interval = (values: readonly (number | null)[]): Interval | null => {
    const known = values.filter((value) => value !== null);
    return known.length > 0 ? bootstrap(known, flags.seed) : null;
  };
  const of = (pick: (a: Agreement) => number | boolean | null) =>
    interval(agreements.map((a) => (pick(a) === null ? null : Number(pick(a)))));
  const methods = {
    occlusion: { spearman: null, top: null, drop: of((a) => a.drop.occlusion) },
    rollout: { spearman: of((a) => a.spearman), top: of((a) => a.top), drop: of((a) => a.drop.rollout) },
    attention: { spearman: of((a) => a.attention.spearman), top: of((a) => a.attention.top), drop: null },
    latest: { spearman: of((a) => a.latest.spearman), top: of((a) => a.latest.top), drop: of((a) => a.drop.latest) },
    random: { spearman: null, top: null, drop: of((a) => a.drop.random) },
  };
  out.object({
    model: flags.model,
    recipe: model,
    split: flags.split,
    users,
    compared: agreements.length,
    seed: flags.seed,
    memoryShare: transitions,
    methods,
  });
  const show = (value: Interval | null): string =>
    value ? `${value.mean.toFixed(2)} (${value.low.toFixed(2)} to ${value.high.toFixed(2)})` : '–';
  const names = {
    occlusion: 'occlusion',
    rollout: 'roll-out',
    attention: 'attention alone*',
    latest: 'the latest event',
    random: 'an event at random',
  };
  out.line(
    `${model}: what carried the best recommendation for ${formatCount(users)} users; roll-out and two plain guesses against occlusion, means with 95 % limits`,
  );
  out.line(
    table(
      ['', 'Spearman', 'same event first', 'drop without it'],
      Object.entries(methods).map(([name, m]) => [
        names[name as keyof typeof names],
        ...[m.spearman, m.top, m.drop].map(show),
      ]),
    ),
  );
  out.note(
    'Drop: of the score relative to the catalog mean, in standard deviations, without the one event that the method names.',
  );
  out.note('* against the part of the transformer in the drop.');
  if (transitions > 0)
    out.note(`The item transitions give ${Math.round(100 * transitions)} % of the relative score on average.`);
  if (agreements.length < users)
    out.note(
      `${formatCount(users - agreements.length)} of them had one event only, so that there was nothing to compare.`,
    );
}
