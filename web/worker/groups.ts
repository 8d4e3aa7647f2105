/** Who is served how well by the model that was trained last: its validation users and items in groups. */
import { atOnce } from '../../data/pieces.ts';
import { columnNames } from '../../data/features/values.ts';
import { ownValue } from '../../data/own-value.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { RankingModel } from '../../model/inference/ranking-model.ts';
import { validatedAt } from '../../model/recipes/derived.ts';
import { quickBaselines } from '../../train/baselines/baselines.ts';
import { rankBaseline } from '../../train/baselines/metrics.ts';
import { trainingFacts } from '../../train/evaluation/collector.ts';
import { evaluate } from '../../train/evaluation/evaluate.ts';
import { splitPrior } from '../../train/evaluation/split-prior.ts';
import {
  groupsByAttribute,
  groupsByColumn,
  groupsByHistory,
  groupsByPopularity,
  MOST_USER_GROUPS,
  type UserGroups,
} from '../../train/fairness/groups.ts';
import { type AuditedRecommender, type FairnessReport, fairnessReport } from '../../train/fairness/report.ts';
import { sharedDevice, trim } from './device.ts';
import type { Prepared } from './training.ts';

/** By history and popularity, each column of the users file with few values, and each attribute with few values. */
export async function compareGroups({ files, plan, users: known }: Prepared): Promise<FairnessReport> {
  const { split, settings, config, items, validationUsers: users } = plan;
  const { seen } = config;
  const device = await sharedDevice();
  const loaded = await loadModel(files);
  const model = await RankingModel.load(device, loaded);
  const facts = trainingFacts(split);
  try {
    const { encoder, blend, second } = model;
    const own = await evaluate(encoder, split, {
      split: 'valid',
      includeSeen: seen === 'kept',
      requestTime: validatedAt(settings),
      users,
      blend,
      second,
      prior: splitPrior(loaded, split, 'valid'),
      components: false,
      facts,
      keepLists: true,
    });
    const baselines = atOnce(quickBaselines(split)).flatMap((baseline): AuditedRecommender[] => {
      const ranked = rankBaseline(split, 'valid', baseline, { seen, users, facts, keepLists: true });
      return ranked ? [{ name: baseline.name, ...ranked }] : [];
    });
    const attributes = columnNames(items).map((name) => groupsByAttribute(name, items, facts.counts));
    return fairnessReport({
      split,
      part: 'valid',
      facts,
      model: own,
      baselines,
      users: [groupsByHistory(split, 'valid'), ...columnsOf(known, split.dataset.userIds)],
      items: [groupsByPopularity(facts), ...attributes.filter(({ valuesOf }) => valuesOf)],
    });
  } finally {
    model.dispose();
    trim(device);
  }
}

/** Columns with more values than can be compared, as postal codes, are left out. */
function columnsOf(known: Prepared['users'], ids: readonly string[]): UserGroups[] {
  const names = columnNames(Array.from(known?.values() ?? [], (attributes) => ({ attributes })));
  return names.flatMap((name) => {
    const cells = ids.map((id) => ownValue(known?.get(id), name));
    const texts = new Set(cells.filter((cell) => !Number.isFinite(Number(cell))));
    return texts.size > MOST_USER_GROUPS ? [] : [groupsByColumn(name, cells)];
  });
}
