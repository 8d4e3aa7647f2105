/** The plan to continue a training that was stopped, from its folder. */
import { type Dataset, datasetOf } from '../data/dataset.ts';
import { InputError, option } from '../data/errors.ts';
import { withoutSource } from '../data/log.ts';
import { ColdSplit } from '../data/splits/cold.ts';
import { type Protocol, storedProtocol } from '../data/splits/protocol.ts';
import { type HeldOutPart, type Split, splitDataset } from '../data/splits/split.ts';
import { changed, checkSettings, type Settings } from '../model/recipes/settings.ts';
import { loadCheckpoint } from '../model/storage/checkpoint.ts';
import { type Item, loadConfig, loadItems, type ModelConfig } from '../model/storage/config.ts';
import type { Files } from '../model/storage/files.ts';
import { guarded } from './attack/guard.ts';
import { type AnySource, RankingPlan } from './plan.ts';
import { numberedById, refusePrivate } from './privacy/options.ts';
import { count, type Notes, storedSideFeatures } from './side-features.ts';

export interface ResumeOptions {
  epochs?: number;
  /** Train the ranker alone, with these settings of it over the stored ones. */
  ranker?: Readonly<Record<string, string>>;
}

/**
 * Plans to continue the training in a folder, on the log that it was started with.
 * @throws InputError where the log is another one
 */
export async function resumePlan(files: Files, source: AnySource, options: ResumeOptions = {}): Promise<RankingPlan> {
  const config = await loadConfig(files);
  if (options.ranker) refusePrivate(config, files.where, 'a ranker would learn from the log without noise');
  if (options.epochs !== undefined) refusePrivate(config, files.where, 'its steps are planned, and no more are taken');
  const stored = checkSettings(config.hyperparameters as unknown as Settings);
  const settings = options.ranker ? changed(stored, { ...options.ranker, ranker: 'on' }) : stored;
  const { log, name, users = null } = source;
  const { minInteractions, minRating } = config.data;
  const to: Notes = { notes: [], warnings: [] };
  const filtered = datasetOf(log, { minInteractions, minRating: minRating ?? undefined });
  const dataset = config.privacy ? numberedById(filtered) : filtered;
  for (const line of dataset.report.lines) to.notes.push(`${name}: ${withoutSource(line, log.source)}`);
  const protocol = storedProtocol(config.protocol, config.protocolParameters, files.where);
  if (protocol.name === 'final')
    throw new InputError('conflicting-settings', `${files.where}: a training on all events is not continued`, {
      setting: 'resume',
      hint: `start it again (${option('overwrite')})`,
    });
  if (config.update)
    throw new InputError('conflicting-settings', `${files.where}: an update is not continued`, {
      setting: 'resume',
      hint: `update ${config.update.from} again (${option('overwrite')})`,
    });
  if (config.init && !(await loadCheckpoint(files)))
    throw new InputError('unfinished-model', `${files.where}: stopped before its first step`, {
      setting: 'resume',
      hint: `start from ${config.init.from} again (${option('overwrite')})`,
    });
  const items = await loadItems(files);
  const plain =
    protocol.name === 'cold-items' ? coldSplitOf(dataset, protocol, items) : splitDataset(dataset, protocol, name);
  requireSameLog(files, config, plain, items, name);
  const { schema } = config;
  const usersName = schema.users && users ? source.usersName : undefined;
  const { split, guard } = guarded(storedSideFeatures(schema, plain, users, usersName ?? name, to), settings);
  const rankerOnly = options.ranker !== undefined;
  return new RankingPlan({
    ...to,
    config,
    settings,
    split,
    items,
    epochs: options.epochs,
    guard,
    resume: true,
    rankerOnly,
  });
}

/** The split of a model with cold items. @throws InputError where it knows none */
export function coldSplitOf(dataset: Dataset, protocol: Protocol, items: readonly Item[]): ColdSplit {
  const cold = new Map(items.flatMap(({ id, cold }) => (cold ? [[id, cold] as [string, HeldOutPart]] : [])));
  if (cold.size === 0) {
    throw new InputError(
      'mismatched-data',
      'the model was not trained under the protocol cold-items: none of its items is cold',
    );
  }
  return new ColdSplit(dataset, protocol, cold);
}

/** A training continues bit for bit on the same log only. */
function requireSameLog(
  { where }: Files,
  { data: was }: ModelConfig,
  { dataset }: Split,
  stored: readonly Item[],
  source: string,
): void {
  const { users, items, interactions } = dataset.report;
  const same = users === was.users && items === was.items && interactions === was.interactions;
  // Items that were added since are not in the log.
  if (same && dataset.itemIds.every((id, row) => id === stored[row]?.id)) return;
  throw new InputError(
    'mismatched-data',
    `${source}: not the log that ${where} was started with (${count(was.users)} users, ${count(was.items)} items, ` +
      `${count(was.interactions)} interactions then; ${count(users)}, ${count(items)}, ${count(interactions)} now)`,
  );
}
