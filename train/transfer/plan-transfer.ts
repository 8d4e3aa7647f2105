/** The plan of a training that starts from another model, of another log or another catalog. */
import { InputError, option } from '../../data/errors.ts';
import type { ItemInfo } from '../../data/formats/catalog.ts';
import { BLOCKS } from '../../model/encoders/blocks/index.ts';
import { ITEM_WEIGHTS, parametersOf, SIDE } from '../../model/encoders/network.ts';
import { HEADS } from '../../model/heads/index.ts';
import { settingsOf } from '../../model/inference/ranking-model.ts';
import { ownSettings, renamed } from '../../model/recipes/setting.ts';
import { type Settings, SETTINGS } from '../../model/recipes/settings.ts';
import type { Item } from '../../model/storage/config.ts';
import type { Files } from '../../model/storage/files.ts';
import { type LoadedModel, loadModel } from '../../model/storage/load-model.ts';
import { modelVersion } from '../../model/storage/manifest.ts';
import { type AnySource, type PlanOptions, planTraining, type RankingPlan } from '../plan.ts';
import { count } from '../side-features.ts';
import { parseMap } from './maps.ts';

export interface TransferOptions {
  /** How item rows are found: `ids` (the default), `ids:COLUMN`, `attributes`, or `vectors`. */
  map?: string;
  /** Epochs in which the item table alone is trained; 0 by default. */
  freezeEpochs?: number;
  /** What the map reads of items beyond what the model and the log's items say, such as vectors: by ID. */
  mapItems?: { from?: ReadonlyMap<string, ItemInfo>; to?: ReadonlyMap<string, ItemInfo> };
}

/** What the encoder's weights were trained for, besides what blocks and heads declare themselves. */
const ARCHITECTURE: readonly string[] = [
  ...['d', 'ff', 'blocks', 'heads', 'window', 'activation', 'block', 'norm', 'positions', 'bias', 'requestTime'],
  ...['embedding', 'projection', 'direction', 'decoder', 'similarity', 'temperature', 'head'],
  ...Object.keys({ ...ownSettings(BLOCKS), ...ownSettings(HEADS) }),
];

/**
 * Plans a training whose encoder starts with the weights of another model, and items with its rows where a map finds some.
 * The settings that the encoder's weights were trained for are that model's; all others suit the log, or are given.
 *
 * @param init a ranking model, which is only read
 * @throws InputError where the model cannot be started from, a setting contradicts it, or no row can be mapped
 */
export async function planTransfer(
  init: Files,
  source: AnySource,
  options: PlanOptions & TransferOptions = {},
): Promise<RankingPlan> {
  const { map: name = 'ids', freezeEpochs = 0, mapItems = {}, ...asked } = options;
  if (!(Number.isSafeInteger(freezeEpochs) && freezeEpochs >= 0))
    throw new InputError('invalid-value', `expected an integer >= 0, got ${freezeEpochs}`, { setting: 'freezeEpochs' });
  const { map, column } = parseMap(name);
  const loaded = await loadModel(init);
  const { where } = init;
  const own = requireSource(loaded, where);
  requireOptions(asked);
  const settings = sharedSettings(own, asked.settings ?? {}, where);
  const recipe = recipeOf(loaded, asked.recipe, where);
  const plan = planTraining(source, { ...asked, recipe, settings });
  const carried = carriedParameters(loaded, plan, where);
  const known = (items: readonly Item[], more: ReadonlyMap<string, ItemInfo> = new Map()) =>
    items.map((item) => ({ ...item, attributes: { ...item.attributes, ...more.get(item.id)?.attributes } }));
  const findRows = map.plan(known(loaded.items, mapItems.from), known(plan.items, mapItems.to), column);
  const version = await modelVersion(init);
  const record = { from: where, version, map: name, frozenEpochs: freezeEpochs };
  const notes = [
    `starts from ${where} (version ${version}, ${count(loaded.items.length)} items): ${carried.length} parameters of its encoder, with ${describe(own)}`,
    ...plan.notes,
  ];
  const transfer = { loaded, findRows, readsTower: map.readsTower === true, carried, record };
  const config = { ...plan.config, init: { ...record, rows: 0 } };
  return plan.with({ notes, config, init: transfer });
}

/** @throws InputError for a model that no training starts from */
function requireSource(loaded: LoadedModel, where: string): Settings {
  const settings = settingsOf(loaded);
  if (loaded.weights.from === 'checkpoint')
    throw new InputError('unfinished-model', `${where}: not validated yet; a training starts from a finished one`, {
      hint: `let it end first (${option('resume')})`,
    });
  return settings;
}

/** @throws InputError for what no training from another model's weights has */
function requireOptions({ settings = {}, parallel, protocol, dp }: PlanOptions): void {
  const refuse = (setting: string, value: string, hint: string): never => {
    throw new InputError('conflicting-settings', 'not with the weights of another model', { setting, value, hint });
  };
  if (settings.items !== undefined && settings.items !== 'ids')
    refuse(
      'settings.items',
      settings.items,
      `leave it out: items have embeddings of their own (${option('map', 'attributes')} starts them from attributes)`,
    );
  if (protocol?.name === 'cold-items') refuse('protocol', protocol.name, 'choose another protocol');
  if (dp) refuse('dp', `epsilon=${dp.epsilon}`, 'leave it out: a private training starts from nothing');
  if (parallel) refuse('workers', String(parallel.workers), 'leave it out: one machine trains it');
}

/** The model's own settings of the encoder, under those that are given. @throws InputError where these contradict */
function sharedSettings(own: Settings, given: Readonly<Record<string, string>>, where: string): Record<string, string> {
  const named = renamed(SETTINGS, given);
  const shared: Record<string, string> = {};
  for (const key of ARCHITECTURE) {
    const value = String(own[key as keyof Settings]);
    shared[key] = value;
    if (named[key] === undefined || named[key] === value || Number(named[key]) === Number(value)) continue;
    throw new InputError('conflicting-settings', `the encoder of ${where} has ${key}=${value}`, {
      setting: `settings.${key}`,
      value: named[key],
      hint: `leave it out, or train from nothing (without ${option('init')})`,
    });
  }
  return { ...shared, ...named };
}

/** undefined: what suits the size of the log, which is a `sasrec`. */
function recipeOf({ config }: LoadedModel, asked: string | undefined, where: string): string | undefined {
  if (asked !== undefined && asked !== config.recipe)
    throw new InputError('conflicting-settings', `${where} was trained as ${config.recipe}`, {
      setting: 'recipe',
      value: asked,
      hint: 'leave it out',
    });
  return asked ?? (config.recipe === 'sasrec' ? undefined : config.recipe);
}

/**
 * The parameters that are carried over: all but the item table, and the table of side features where columns differ.
 * @throws InputError where one has another shape
 */
function carriedParameters(
  { tensors, config }: LoadedModel,
  { settings, split, config: own }: RankingPlan,
  where: string,
): string[] {
  const sameColumns = (['users', 'events'] as const).every(
    (of) => JSON.stringify(config.schema[of]) === JSON.stringify(own.schema[of]),
  );
  const { declared } = parametersOf(settings, split.items, { side: split.side?.encoder.rows });
  return declared.flatMap(({ name, shape }) => {
    if (name === ITEM_WEIGHTS || (name === SIDE && !sameColumns)) return [];
    const given = tensors.get(name)?.shape;
    if (given?.join() === shape.join()) return [name];
    throw new InputError(
      'mismatched-data',
      `${where}: expected ${name} [${shape.join(', ')}], got ${given ? `[${given.join(', ')}]` : 'none'}`,
      { hint: `train from nothing (without ${option('init')})` },
    );
  });
}

const describe = ({ d, blocks, heads, window }: Settings): string =>
  `d ${d}, ${blocks} blocks, ${heads} ${heads === 1 ? 'head' : 'heads'}, window ${window}`;
