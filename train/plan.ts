/**
 * The plan of a training: everything is checked and chosen here, with reasons, and nothing is started. The command, the
 * page, the library, the search and the demo all plan alike, and `runPlan` (train/run-plan.ts) trains.
 */
import { type Dataset, datasetOf, type PreparedLog } from '../data/dataset.ts';
import { InputError, option } from '../data/errors.ts';
import { encodeItems, type ItemFeatures } from '../data/features/encoder.ts';
import { type ColumnChoice, describeSchema, inferSchema, type Schema } from '../data/features/schema.ts';
import { type Similarity, similarity } from '../data/features/similarity.ts';
import { type Log, withoutSource } from '../data/log.ts';
import type { Pieces } from '../data/pieces.ts';
import { requiredHistory, requireTrainable } from '../data/splits/checks.ts';
import { ColdSplit, drawCold } from '../data/splits/cold.ts';
import { describeProtocol, LEAVE_ONE_OUT, type Protocol } from '../data/splits/protocol.ts';
import { sampleEvery } from '../data/splits/sample.ts';
import { type HeldOutPart, type Split, splitDataset } from '../data/splits/split.ts';
import { chooseRecipe, logSize } from '../model/recipes/defaults.ts';
import type { Settings } from '../model/recipes/settings.ts';
import type { PriorSettings } from '../model/transitions/segment-prior.ts';
import type { BlendWeights, TransitionSettings } from '../model/transitions/transitions.ts';
import { readsTimes } from '../model/recipes/derived.ts';
import { settingsFor } from '../model/recipes/recipes.ts';
import type { Item, ModelConfig, Parallel } from '../model/storage/config.ts';
import { countItems } from './baselines/baselines.ts';
import { withDomains } from './domains.ts';
import { describeGuard, type Guard, guarded } from './attack/guard.ts';
import { type BaselineMetrics, baselineMetrics } from './baselines/metrics.ts';
import { requireHorizon } from './loop/schedule.ts';
import { validationUsers, type WarmStart } from './loop/options.ts';
import { newConfig } from './model-config.ts';
import type { Transfer } from './transfer/maps.ts';
import {
  checkPrivacy,
  describePrivacy,
  numberedById,
  planPrivacy,
  type PrivacyOptions,
  privateSettings,
  PUBLIC,
} from './privacy/options.ts';
import {
  count,
  inferSideFeatures,
  type Notes,
  type UserFeatures,
  warnUnseen,
  withSideFeatures,
} from './side-features.ts';

/** What a training learns from. @template L a prepared log, too, where rows are not needed */
export interface TrainingSource<L extends Log | PreparedLog = Log> {
  log: L;
  /** Where the log comes from, in messages and in config.json. */
  name: string;
  /** What the log's columns are called, where not as usual. */
  columns?: ModelConfig['schema']['columns'];
  /** Titles and attributes by item ID. */
  items?: ReadonlyMap<string, { title?: string; attributes?: Record<string, string> }> | null;
  itemsName?: string;
  users?: UserFeatures | null;
  usersName?: string;
}

/** A log in memory, or one that was prepared. */
export type AnySource = TrainingSource<Log | PreparedLog>;

export interface PlanOptions {
  /** What suits the size of the log, where none is named. */
  recipe?: string;
  /** Over those of the recipe, as text. */
  settings?: Readonly<Record<string, string>>;
  protocol?: Protocol;
  /** IDs of the cold items, for the protocol cold-items; drawn by its seed otherwise. */
  coldItems?: ReadonlySet<string> | null;
  /** What columns of items and users are, where that is not inferred. */
  itemColumns?: readonly ColumnChoice[];
  userColumns?: readonly ColumnChoice[];
  /** Event context to read: rating, gap, hour, weekday, columns of the log. */
  events?: readonly string[];
  /** Column of the items or of the log that says which domain an item is of. */
  domainColumn?: string;
  minInteractions?: number;
  minRating?: number;
  includeSeen?: boolean;
  seed?: number;
  epochs?: number;
  /** With the protocol final: what another model's validation chose. */
  chosen?: Chosen;
  /** Divides the training of the encoder among workers (`checkParallel`); `runPlan` needs them then. */
  parallel?: Parallel;
  /** Keeps users' data private: user-level differential privacy (train/privacy). */
  dp?: PrivacyOptions;
}

/** What validation chooses; a training on all events takes it from a model that had one. */
export interface Chosen {
  epochs: number;
  /** null: the transformer scores alone. */
  blend: BlendWeights | null;
  /** How item transitions are learned; null without any. */
  transitions: TransitionSettings | null;
  prior: PriorSettings | null;
}

/** What the protocol cold-items requires: no transitions lead to a cold item, the attribute model scores it. */
const COLD = { items: 'tower', memory: 'off' };

/** A training of a ranking model that is ready to start. */
export class RankingPlan {
  readonly kind = 'ranking';
  /** As config.json will have it. */
  readonly config: ModelConfig;
  readonly settings: Settings;
  readonly split: Split;
  readonly items: readonly Item[];
  /** The items' attributes for the item tower; null without one. */
  readonly features: ItemFeatures | null;
  readonly similarity: Similarity | null;
  readonly validationUsers: Uint32Array;
  /** Why the recipe was chosen; empty where it was named. */
  readonly reasons: readonly string[];
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
  readonly epochs?: number;
  /** Of a training on all events, which validates nothing; null otherwise. */
  readonly chosen: Chosen | null;
  /** Of an update: the weights of the model that it starts from; null otherwise. */
  readonly warm: WarmStart | null;
  /** What a training takes over from another model; null otherwise. */
  readonly init: Transfer | null;
  /** Epochs in which the item table alone is trained. */
  readonly frozenEpochs: number;
  /** Who is left out as injected; null without the setting `guard`. */
  readonly guard: Guard | null;
  /** Continues what the folder holds. */
  readonly resume: boolean;
  /** Trains the ranker alone on top of the folder's model. */
  readonly rankerOnly: boolean;
  #baselines: { known: BaselineMetrics | null } = { known: null };

  constructor(fields: Fields) {
    const { config, settings, split, items } = fields;
    if (settings.ranker === 'on' && split instanceof ColdSplit) {
      throw new InputError('conflicting-settings', 'this protocol ranks by the score alone', {
        setting: 'protocol',
        value: 'cold-items',
        hint: 'leave out the ranker (ranker=off)',
      });
    }
    this.config = config;
    this.settings = settings;
    this.split = split;
    this.items = items;
    const schema = settings.items === 'tower' ? config.schema.items : undefined;
    if (settings.items === 'tower' && !schema) {
      throw new InputError('conflicting-settings', `${option('settings.items', 'tower')} reads item attributes`, {
        hint: `give ${option('items')} with some`,
      });
    }
    const described = schema ? items.slice(0, split.items) : [];
    this.features = schema ? encodeItems(schema, described) : null;
    this.similarity = schema ? similarity(schema, described) : null;
    // Nothing that is private is chosen by validation, which no noise covers.
    this.validationUsers = config.privacy ? new Uint32Array(0) : validationUsers(split, settings, config.seed);
    if (this.validationUsers.length === 0 && !fields.chosen && !config.privacy) {
      throw new InputError('too-little-data', `${config.data.source}: no user has ${validationNeeds(split.protocol)}`, {
        hint: 'give longer histories',
      });
    }
    const { notes, warnings, reasons = [], epochs, resume = false, rankerOnly = false } = fields;
    if (this.features) warnUnseen(this.features.unseen, fields.itemsName ?? config.data.source, { notes, warnings });
    this.notes = notes;
    this.warnings = warnings;
    this.reasons = reasons;
    this.epochs = epochs;
    this.chosen = fields.chosen ?? null;
    this.warm = fields.warm ?? null;
    this.init = fields.init ?? null;
    this.frozenEpochs = config.init?.frozenEpochs ?? 0;
    this.guard = fields.guard ?? null;
    this.resume = resume;
    this.rankerOnly = rankerOnly;
  }

  /** Simple recommenders on the validation users; once they are measured, they are known to all plans of the same data. */
  *baselines(): Pieces<BaselineMetrics> {
    const { split, config, validationUsers: users } = this;
    this.#baselines.known ??= yield* baselineMetrics(split, 'valid', config.seen, users);
    return this.#baselines.known;
  }

  /** The same plan but for these fields. */
  with(fields: Partial<Pick<Fields, 'config' | 'settings' | 'split' | 'epochs' | 'init' | 'notes'>>): RankingPlan {
    return new RankingPlan({ ...this, notes: [...this.notes], warnings: [...this.warnings], ...fields });
  }

  /** The same data with other settings of the recipe. @throws InputError for settings that make no model */
  withSettings(
    given: Readonly<Record<string, string>>,
    { epochs, resume }: { epochs?: number; resume?: boolean },
  ): RankingPlan {
    const settings = settingsFor(this.config.recipe, given);
    for (const [key, what] of Object.entries(FIXED))
      if (settings[key as keyof typeof FIXED] !== this.settings[key as keyof typeof FIXED])
        throw new InputError('conflicting-settings', `it decides which ${what}, and is not searched`, {
          setting: `settings.${key}`,
          value: settings[key as keyof typeof FIXED],
          hint: 'search once with each',
        });
    const config = { ...this.config, hyperparameters: { ...settings }, tokenBudget: settings.budget };
    const plan = new RankingPlan({ ...this, config, settings, notes: [], warnings: [], epochs, resume });
    if (settings.validateUsers === this.settings.validateUsers) plan.#baselines = this.#baselines;
    return plan;
  }
}

/** Settings that decide on the data, and what of it. */
const FIXED = { requestTime: 'features the log gives', guard: 'users train' } as const;

interface Fields extends Notes {
  config: ModelConfig;
  settings: Settings;
  split: Split;
  items: readonly Item[];
  itemsName?: string;
  reasons?: readonly string[];
  epochs?: number;
  chosen?: Chosen | null;
  warm?: WarmStart | null;
  init?: Transfer | null;
  guard?: Guard | null;
  resume?: boolean;
  rankerOnly?: boolean;
}

/** What a user must have to be validated on. */
function validationNeeds(protocol: Protocol): string {
  switch (protocol.name) {
    case 'temporal':
      return `an interaction between the two cuts in time and one before it (${describeProtocol(protocol)})`;
    case 'last-n':
      return `${requiredHistory(protocol)} (${describeProtocol(protocol)})`;
    default:
      return `${requiredHistory(protocol)}, one each to train, to validate and to test on`;
  }
}

/**
 * Checks what can be checked before a log is read, which may take long.
 * @returns the settings, as far as they are known: the size of the log may choose others
 * @throws InputError
 */
export function checkOptions(options: PlanOptions): Settings {
  if (options.dp) checkPrivacy(options.dp);
  const settings = settingsFor(options.recipe ?? 'sasrec', overridesOf(options));
  if (!options.dp) requireHorizon(settings, options.epochs);
  return settings;
}

/** The settings that were given, and those that the protocol or privacy requires. */
function overridesOf(options: PlanOptions): Record<string, string> {
  const { settings = {}, protocol } = options;
  if (options.dp) return privateSettings(options);
  if (protocol?.name !== 'cold-items') return { ...settings };
  for (const [key, value] of Object.entries(COLD)) {
    if (settings[key] !== undefined && settings[key] !== value) {
      throw new InputError(
        'conflicting-settings',
        `${option(`settings.${key}`, settings[key])}: the protocol cold-items requires ${key}=${value}`,
      );
    }
  }
  return { ...settings, ...COLD };
}

/**
 * Plans a new training.
 * @throws InputError, one line, where nothing can be learned from the log or a setting makes no sense
 */
export function planTraining(source: AnySource, options: PlanOptions = {}): RankingPlan {
  const asked = checkOptions(options);
  const { log, name } = source;
  if (options.dp && source.users)
    throw new InputError('conflicting-settings', 'with `dp`: their values are stored without noise; leave it out', {
      setting: 'users',
    });
  const { protocol = LEAVE_ONE_OUT, seed = 1, epochs, events = [] } = options;
  const filter = 'filter' in log ? log.filter : { minInteractions: 5 };
  const { minInteractions = filter.minInteractions, minRating = filter.minRating } = options;
  if ((source.users || events.length > 0) && asked.direction !== 'causal') {
    throw new InputError(
      'conflicting-settings',
      `only causal models read ${option('users')} and ${option('reads')} (direction=causal)`,
      { hint: 'leave them out, or choose another recipe' },
    );
  }
  const to: Notes = { notes: [], warnings: [] };
  const filtered = datasetOf(log, { minInteractions, minRating });
  const dataset = options.dp ? numberedById(filtered) : filtered;
  for (const line of dataset.report.lines) to.notes.push(`${name}: ${withoutSource(line, log.source)}`);
  const plain = splitOf(dataset, protocol, options.coldItems ?? null, name);
  requireTrainable(plain, name);
  const privacy = options.dp && planPrivacy(options.dp, plain.users);
  if (privacy) to.notes.push(`${name}: ${describePrivacy(privacy, privacy.steps)}`, `${name}: ${PUBLIC}`);
  const { recipe, settings, reasons } = choose(options, plain);
  if (reasons.length > 0) to.notes.push(`no recipe named: ${recipe} with ${reasons.join('; ')}`);
  if (readsTimes(settings) && !dataset.times) {
    to.notes.push(`${recipe} reads the times of events, and the log has none: events count as one unit apart`);
  }
  if (settings.requestTime === 'on' && !dataset.times)
    to.notes.push(
      `${recipe} reads when the next event is asked for, and the log has no times: it learns nothing of that`,
    );
  const usersName = source.usersName ?? 'users';
  const side = inferSideFeatures(
    plain,
    {
      users: source.users,
      usersName,
      source: name,
      userColumns: options.userColumns,
      events,
      request: settings.requestTime === 'on',
    },
    to,
  );
  const full = withSideFeatures(side, plain, source.users ?? null, source.users ? usersName : name, to);
  const { split, guard } = guarded(full, settings);
  if (guard) to.notes.push(describeGuard(guard));
  noteSample(split, name, to);
  // Of a private log no counts are stored.
  const catalog = catalogItems(split.dataset.itemIds, privacy ? [] : countItems(split), source, to);
  const { domainColumn } = options;
  const items = domainColumn === undefined ? catalog : withDomains(catalog, dataset, domainColumn, name, to);
  if (split instanceof ColdSplit) for (const [row, item] of items.entries()) item.cold = coldnessOf(split, row);
  const schema = settings.items === 'tower' ? itemSchema(source, items, options.itemColumns ?? [], to) : null;
  const about = {
    recipe,
    settings,
    source: name,
    columns: source.columns ?? {},
    minInteractions,
    minRating,
    protocol: split.protocol,
    seen: options.includeSeen ? 'kept' : 'excluded',
    seed,
    schema,
    side,
    usersFile: source.usersName,
    domain: domainColumn,
    parallel: options.parallel,
    privacy,
  } as const;
  const config = newConfig(about, dataset, items);
  return new RankingPlan({
    ...to,
    config,
    settings,
    split,
    items,
    itemsName: source.itemsName,
    reasons,
    epochs,
    chosen: options.chosen,
    guard,
  });
}

/** Says so where a log is so large that pairs of its events are counted of a sample. */
function noteSample(split: Split, name: string, { notes }: Notes): void {
  const every = sampleEvery(split);
  if (every === 1) return;
  notes.push(`${name}: so many events that item transitions and Markov chains count those of one user in ${every}`);
}

function splitOf(dataset: Dataset, protocol: Protocol, listed: ReadonlySet<string> | null, source: string): Split {
  if (protocol.name !== 'cold-items') return splitDataset(dataset, protocol, source);
  const cold = drawCold(dataset, protocol, listed);
  if (!listed) return new ColdSplit(dataset, protocol, cold);
  const { share: _, ...rest } = protocol.parameters;
  const tested = [...cold.values()].filter((kind) => kind === 'test').length;
  return new ColdSplit(dataset, { ...protocol, parameters: { ...rest, listed: tested } }, cold);
}

/** The recipe that was named, or what suits the log, with the given settings over it. */
function choose(options: PlanOptions, split: Split): { recipe: string; settings: Settings; reasons: string[] } {
  const given = overridesOf(options);
  // The item tower trains against all items; the choice by size may sample them.
  // The size of a private log chooses nothing.
  const named = options.recipe ?? (given.items === 'tower' || options.dp ? 'sasrec' : undefined);
  if (named !== undefined) return { recipe: named, settings: settingsFor(named, given), reasons: [] };
  const { recipe, settings, reasons } = chooseRecipe(logSize(split), given);
  return { recipe, settings: settingsFor(recipe, { ...settings, ...given }), reasons };
}

/** The rows of items.json; tells how many of them are described. @param counts training events by row */
export function catalogItems(
  ids: readonly string[],
  counts: ArrayLike<number>,
  { items: infos, itemsName = 'items' }: Pick<AnySource, 'items' | 'itemsName'>,
  to: Notes,
): Item[] {
  if (infos) {
    const known = ids.filter((id) => infos.has(id)).length;
    const text = `${itemsName}: titles for ${count(known)} of ${count(ids.length)} items`;
    const [other] = infos.keys();
    if (known > 0) to.notes.push(text);
    else
      to.warnings.push(
        `${text}; its IDs look like ${JSON.stringify(other)}, those of the log like ${JSON.stringify(ids[0])}`,
      );
  }
  return ids.map((id, row): Item => {
    const { title, attributes = {} } = infos?.get(id) ?? {};
    return { id, title: title || id, attributes, count: counts[row] };
  });
}

const coldnessOf = ({ warm, testFrom }: ColdSplit, row: number): HeldOutPart | undefined =>
  row < warm ? undefined : row < testFrom ? 'valid' : 'test';

/** What the item tower reads. @throws InputError where the items have no attributes */
function itemSchema(
  { itemsName, name }: AnySource,
  items: readonly Item[],
  choices: readonly ColumnChoice[],
  { notes }: Notes,
): Schema {
  const schema = inferSchema(items, choices);
  const where = itemsName ?? name;
  if (schema.columns.every(({ type }) => type === 'skip')) {
    throw new InputError(
      'conflicting-settings',
      `${where}: ${option('settings.items', 'tower')} reads item attributes, and there are none`,
      { hint: `give ${option('items')} with some, or name the column types in a schema` },
    );
  }
  for (const line of describeSchema(schema)) notes.push(`${where}: ${line}`);
  return schema;
}
