/** `attune train`: from a log to a model folder. */
import { existsSync } from 'node:fs';
import { ColdSplit, drawCold } from '../../data/splits/cold.ts';
import type { Dataset } from '../../data/dataset.ts';
import { requireTrainable, requiredHistory } from '../../data/splits/checks.ts';
import { InputError } from '../../data/errors.ts';
import {
  describeProtocol,
  describeTask,
  type Protocol,
  protocolFlag,
  storedProtocol,
} from '../../data/splits/protocol.ts';
import { isRatingSplit } from '../../data/ratings/split.ts';
import { describeSchema, inferSchema, parseSchema, type Schema } from '../../data/features/schema.ts';
import { contextNames } from '../../data/features/side-features.ts';
import { type Split, splitDataset } from '../../data/splits/split.ts';
import { writeModelCard } from '../../model/storage/card.ts';
import { chooseRecipe, logSize } from '../../model/recipes/defaults.ts';
import {
  createFolder,
  holdsWeights,
  type Item,
  loadConfig,
  loadItems,
  loadModel,
  type ModelConfig,
  readMetrics,
} from '../../model/storage/folder.ts';
import { changed, checkSettings, readsTimes, type Settings, settingsFor } from '../../model/recipes/recipes.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { lockFolder } from '../../recommend/sources/lock.node.ts';
import { countItems } from '../../train/baselines/baselines.ts';
import type { Metrics } from '../../train/evaluation/metrics.ts';
import { requireHorizon } from '../../train/loop/schedule.ts';
import { requirePrecision, type TrainResult, validationUsers } from '../../train/loop/trainer.ts';
import { type Backend, commandName, openDevice, Output, shellWord } from '../common.ts';
import {
  coldPartsOf,
  type ColumnFlags,
  columnsOf,
  describeItems,
  openDataset,
  openItems,
  readIds,
  readText,
} from '../input/data.ts';
import { addVectors } from '../input/item-vectors.ts';
import { pathsExist } from '../input/paths.ts';
import { InterruptedError, UsageError } from '../errors.ts';
import { type BaselineMetrics, baselineMetrics, COLUMNS, noteRepeats } from '../output/metrics.ts';
import { attributesOf, newConfig, type Training, trainWithProgress } from '../training.ts';
import {
  checkSideFeatureFlags,
  contextOf,
  eventNames,
  inferSideFeatures,
  loadSideFeatures,
  type SideFeatureFlags,
} from '../input/side-features.ts';
import { type FixedFlag, requireSameFlags } from '../resume.ts';
import { metricsTable, formatCount, formatDuration, formatMetric, lossPlot, printable } from '../output/ui.ts';

export interface TrainFlags extends ColumnFlags, SideFeatureFlags {
  data?: string;
  out: string;
  items?: string;
  /** What the columns of the items file are, where that is not inferred. */
  schema?: string;
  /** Files of ready-made vectors of the items. */
  vectors?: string[];
  /** IDs of the cold items, a line each, for the protocol cold-items. */
  coldItems?: string;
  /** What suits the log's size, where none is named. */
  recipe?: string;
  protocol: Protocol;
  epochs?: number;
  maxMinutes?: number;
  minInteractions: number;
  minRating?: number;
  maxBadRows: number;
  set: ReadonlyMap<string, string>;
  seed: number;
  device: Backend;
  includeSeen?: boolean;
  resume?: boolean;
  /** Train a second stage; with `resume` that alone. */
  ranker?: boolean;
  overwrite?: boolean;
  progress?: boolean;
  json?: boolean;
}

/** Refuses what belongs to ratings. */
export function requireRanking(flags: { protocol: { name: string }; folds?: number; positive?: number }): void {
  const { folds, positive, protocol } = flags;
  const found =
    folds !== undefined
      ? `--folds ${folds}`
      : positive !== undefined
        ? `--positive ${positive}`
        : isRatingSplit(protocol.name)
          ? `--protocol ${protocol.name}`
          : null;
  if (found) throw new UsageError(`${found}: is for ratings; add --task rating or --task ctr`);
}

/** Flags that describe a model: with `--resume` they come from its folder. */
const FIXED = [
  'recipe',
  'protocol',
  'set',
  'seed',
  'minInteractions',
  'minRating',
  'includeSeen',
  'items',
  'schema',
  'vectors',
  'usersSchema',
  'events',
  'coldItems',
] as const satisfies readonly FixedFlag[];

interface Prepared extends Training {
  files: NodeFiles;
  /** null on `--resume`: the folder has them. */
  items: Item[] | null;
}

/** @param given names of the flags that the user typed */
export async function runTrain(flags: TrainFlags, given: ReadonlySet<string>): Promise<void> {
  const started = performance.now();
  const out = new Output(flags.json);
  if (flags.resume && flags.overwrite) throw new UsageError('--resume and --overwrite exclude each other');
  if (!flags.resume && flags.data === undefined) throw new UsageError('--data PATH is missing: the log to learn from');
  if (flags.resume && flags.ranker && flags.epochs !== undefined) {
    throw new UsageError(
      '--epochs counts those of the model, which stays as it is with --resume --ranker; leave it out',
    );
  }
  const prepared = flags.resume ? await prepareResume(flags, given, out) : await prepareNew(flags, out);
  const { files, config, settings, parts } = prepared;
  const users = validationUsers(parts, settings, config.seed);
  if (users.length === 0) {
    throw new InputError('too-little-data', `${config.data.source}: no user has ${validationNeeds(parts.protocol)}`, {
      hint: 'give longer histories',
    });
  }
  const baselines = baselineMetrics(parts, 'valid', config.seen, users);
  noteRepeats(baselines.targetsInHistory, config.seen, out);

  const device = await openDevice(flags.device, out);
  try {
    requirePrecision(device, settings);
    await NodeFiles.create(flags.out);
    const lock = await lockFolder(flags.out);
    try {
      if (prepared.items) {
        config.device = device.name;
        await createFolder(files, config, prepared.items, { overwrite: flags.overwrite });
      }
      out.note(`training on ${device.name}: ${describe(config, settings, parts)}`);
      const { maxMinutes, resume, epochs, progress } = flags;
      const deadline = maxMinutes === undefined ? undefined : started + maxMinutes * 60_000;
      const result = await trainWithProgress(device, prepared, {
        deadline,
        resume,
        epochs,
        progress,
        rankerOnly: resume && flags.ranker,
      });
      await finish(result, prepared, baselines, flags, out);
    } finally {
      await lock.release();
    }
  } finally {
    device.close();
  }
}

/** What a user must have to be validated on. */
function validationNeeds(protocol: Protocol): string {
  return protocol.name === 'temporal'
    ? `an interaction between the two cuts in time and one before it (${describeProtocol(protocol)})`
    : protocol.name === 'last-n'
      ? `${requiredHistory(protocol)} (${describeProtocol(protocol)})`
      : `${requiredHistory(protocol)}, one each to train, to validate and to test on`;
}

async function prepareNew(flags: TrainFlags, out: Output): Promise<Prepared> {
  const overrides = overridesOf(flags);
  // Before the log is read, which may take long: whatever is chosen, these must make sense.
  const asked = settingsFor(flags.recipe ?? 'sasrec', overrides);
  requireHorizon(asked, flags.epochs);
  checkTogether(flags, asked);
  checkSideFeatureFlags(flags, asked);
  const files = new NodeFiles(flags.out);
  if (existsSync(flags.out)) await refuseModel(await NodeFiles.open(flags.out), flags);
  const infos = flags.items === undefined ? null : await openItems(flags.items);
  if (infos && flags.vectors) await addVectors(infos, flags.vectors);
  const source = flags.data as string;
  const columns = columnsOf(flags);
  const { minInteractions, minRating } = flags;
  const reading = { columns, context: contextNames(eventNames(flags)), maxBadRows: flags.maxBadRows };
  const dataset = await openDataset(source, reading, { minInteractions, minRating }, out, flags.progress);
  let parts = await partsOf(flags, dataset);
  requireTrainable(parts, source);
  const { recipe, settings } = chosen(flags.recipe, overrides, parts, out);
  if (readsTimes(settings) && !dataset.times)
    out.note(`${recipe} reads the times of events, and the log has none: events count as one unit apart`);
  parts = await inferSideFeatures(flags, parts, source, out);
  const items = describeItems(parts.dataset.itemIds, countItems(parts), infos, flags.items ?? '', out);
  const tower = settings.items === 'tower';
  const schema = tower ? await schemaOf(flags, items, out) : null;
  if (parts instanceof ColdSplit) for (const [row, item] of items.entries()) item.cold = coldnessOf(parts, row);
  const seen = flags.includeSeen ? 'kept' : 'excluded';
  const about = {
    recipe,
    settings,
    source,
    columns,
    minInteractions,
    minRating,
    protocol: parts.protocol,
    seen,
    seed: flags.seed,
    schema,
    side: parts.sideSchema,
    usersFile: flags.users,
  } as const;
  const config = newConfig(about, dataset, items);
  return { files, config, settings, parts, items, attributes: schema && attributesOf(schema, items, out) };
}

/** The log under the protocol, with what flags say of cold items. */
async function partsOf(flags: TrainFlags, dataset: Dataset): Promise<Split> {
  const source = flags.data as string;
  const { protocol, coldItems } = flags;
  if (protocol.name !== 'cold-items') return splitDataset(dataset, protocol, source);
  const listed = coldItems === undefined ? null : await readIds(coldItems);
  const cold = drawCold(dataset, protocol, listed);
  const { share: _, ...rest } = protocol.parameters;
  const count = [...cold.values()].filter((kind) => kind === 'test').length;
  return new ColdSplit(dataset, listed ? { ...protocol, parameters: { ...rest, listed: count } } : protocol, cold);
}

/** What flags ask for together, before anything is read. */
function checkTogether({ protocol, coldItems, items, schema, vectors }: TrainFlags, settings: Settings): void {
  if (vectors && settings.items !== 'tower') {
    throw new UsageError('--vectors goes with --set items=tower, which reads them beside the columns of --items');
  }
  if (coldItems !== undefined && protocol.name !== 'cold-items') {
    throw new UsageError('--cold-items goes with --protocol cold-items');
  }
  if (schema !== undefined && settings.items !== 'tower') {
    throw new UsageError('--schema goes with --set items=tower, which reads the columns of --items');
  }
  if (settings.items === 'tower' && items === undefined) {
    throw new UsageError(
      `${protocol.name === 'cold-items' ? '--protocol cold-items' : '--set items=tower'} reads the items' attributes: name their file with --items PATH`,
    );
  }
}

/** What --set says, and what the protocol asks for: cold items stand on their attributes. */
function overridesOf({ set, protocol, ranker }: TrainFlags): Record<string, string> {
  const given = Object.fromEntries(set);
  if (ranker) {
    if (given.ranker === 'off') throw new UsageError('--set ranker=off and --ranker exclude each other');
    given.ranker = 'on';
  }
  if (protocol.name !== 'cold-items') return given;
  for (const [key, value] of Object.entries(COLD)) {
    if (given[key] !== undefined && given[key] !== value) {
      throw new UsageError(`--set ${key}=${given[key]}: --protocol cold-items needs ${key}=${value}`);
    }
  }
  return { ...given, ...COLD };
}

/** The sequence memory knows nothing of cold items; the attribute memory stands in its place. */
const COLD = { items: 'tower', memory: 'off' };

function coldnessOf(parts: ColdSplit, row: number): Item['cold'] {
  return row < parts.warm ? undefined : row < parts.testFrom ? 'valid' : 'test';
}

/** The schema of the items, printed. */
async function schemaOf({ schema, items: source }: TrainFlags, items: readonly Item[], out: Output): Promise<Schema> {
  const fixed = schema === undefined ? [] : parseSchema(await readText(schema), schema);
  const inferred = inferSchema(items, fixed);
  if (inferred.columns.every(({ type }) => type === 'skip')) {
    throw new InputError('missing-column', `${source}: no column that says anything of the items`, {
      hint: 'give attributes, or name them with --schema FILE',
    });
  }
  for (const line of describeSchema(inferred)) out.note(`${printable(source ?? '')}: ${printable(line)}`);
  return inferred;
}

/** The recipe that was named, or what suits the log, with what the user set over it. */
function chosen(
  recipe: string | undefined,
  overrides: Record<string, string>,
  parts: Split,
  out: Output,
): { recipe: string; settings: Settings } {
  if (recipe !== undefined) return { recipe, settings: settingsFor(recipe, overrides) };
  // The tower's embeddings are made anew in each step, all of them, so that its loss is over all of them.
  if (overrides.items === 'tower') return { recipe: 'sasrec', settings: settingsFor('sasrec', overrides) };
  const choice = chooseRecipe(logSize(parts), overrides);
  out.note(`no --recipe: ${choice.recipe} with ${choice.reasons.join('; ')}`);
  return { recipe: choice.recipe, settings: settingsFor(choice.recipe, { ...choice.settings, ...overrides }) };
}

/** Refuses a folder in use before the log is read, which may take long; `createFolder` has the last word. */
async function refuseModel(files: NodeFiles, flags: TrainFlags): Promise<void> {
  if (!flags.overwrite && (await holdsWeights(files))) {
    throw new InputError('already-exists', `${flags.out}: already holds a model`, {
      hint: 'add --resume to go on with it, --overwrite to replace it, or choose another --out',
    });
  }
}

async function prepareResume(flags: TrainFlags, given: ReadonlySet<string>, out: Output): Promise<Prepared> {
  const files = await NodeFiles.open(flags.out);
  const config = await loadConfig(files);
  // The ranker's own settings are free where it alone is trained.
  const set = new Map([...flags.set].filter(([key]) => !(flags.ranker && key.startsWith('ranker'))));
  const fixed = FIXED.filter((name) => given.has(name));
  requireSameFlags(fixed, { ...flags, set }, config, flags.out);
  const begun = checkSettings(config.hyperparameters as unknown as Settings);
  const settings = flags.ranker ? changed(begun, { ...Object.fromEntries(flags.set), ranker: 'on' }) : begun;
  const source = flags.data ?? config.data.source;
  if (flags.data === undefined && !pathsExist(source)) {
    throw new InputError('not-found', `${source}: the log that ${flags.out} was begun with is not there`, {
      hint: 'name it with --data PATH',
    });
  }
  const { minInteractions, minRating } = config.data;
  const reading = {
    columns: columnsOf(flags, config.schema.columns),
    context: contextOf(config),
    maxBadRows: flags.maxBadRows,
  };
  const filter = { minInteractions, minRating: minRating ?? undefined };
  const dataset = await openDataset(source, reading, filter, out, flags.progress);
  const protocol = storedProtocol(config.protocol, config.protocolParameters, flags.out);
  const stored = await loadItems(files);
  let parts =
    protocol.name === 'cold-items' ? coldPartsOf(dataset, protocol, stored) : splitDataset(dataset, protocol, source);
  await requireSameLog(files, config, parts, source);
  const usersFile = flags.users ?? config.data.usersFile;
  if (config.schema.users && usersFile !== undefined && !existsSync(usersFile)) {
    throw new InputError('not-found', `${usersFile}: the users that ${flags.out} was begun with are not there`, {
      hint: 'name --users PATH',
    });
  }
  parts = await loadSideFeatures(config, parts, usersFile, out);
  const schema = config.schema.items;
  const attributes =
    settings.items === 'tower' && schema ? attributesOf(schema, stored.slice(0, parts.items), out) : null;
  return { files, config, settings, parts, items: null, attributes };
}

/** A training goes on bit for bit on the same log only. */
async function requireSameLog(files: NodeFiles, config: ModelConfig, parts: Split, source: string): Promise<void> {
  const { users, items, interactions } = parts.dataset.report;
  const was = config.data;
  const same = users === was.users && items === was.items && interactions === was.interactions;
  const stored = await loadItems(files);
  // Items that were added since are not in the log.
  if (same && parts.dataset.itemIds.every((id, row) => id === stored[row]?.id)) return;
  throw new InputError(
    'mismatched-data',
    `${source}: not the log that ${files.where} was begun with (${formatCount(was.users)} users, ${formatCount(was.items)} items, ` +
      `${formatCount(was.interactions)} interactions then; ${formatCount(users)}, ${formatCount(items)}, ${formatCount(interactions)} now)`,
  );
}

/** The loss in words, and what it compares with. */
function describeLoss(s: Settings): string {
  if (s.loss === 'softmax') return 'softmax over all items';
  const sharing =
    s.negativeGroup === 0
      ? 'a batch'
      : s.negativeGroup === 1
        ? 'a position'
        : `${formatCount(s.negativeGroup)} positions`;
  return `${s.loss}, ${formatCount(s.negatives)} ${s.sampler} ${s.negatives === 1 ? 'negative' : 'negatives'} for ${sharing}`;
}

function describe(config: ModelConfig, s: Settings, parts: Split): string {
  const model = `${config.recipe}, d ${s.d}, ${s.blocks} ${s.blocks === 1 ? 'block' : 'blocks'}, ${s.heads} ${s.heads === 1 ? 'head' : 'heads'}`;
  return `${model}, ${describeLoss(s)}, window ${s.window}, batches of ${formatCount(s.budget)} tokens, ${formatCount(parts.trainPositions())} positions an epoch, seed ${config.seed}`;
}

const REASONS: Record<TrainResult['reason'], string> = {
  'early-stopping': 'stopped early: validation no longer improves',
  epochs: 'reached the number of epochs',
  time: 'reached the time limit',
  interrupted: 'interrupted',
  ranker: 'the ranker is trained; the model under it stays as it was',
  'finished before': 'this training had finished before; nothing was left to do (--epochs N goes on)',
};

/** Writes the card, prints the figures and what to do next. */
async function finish(
  result: TrainResult,
  p: Prepared,
  baselines: BaselineMetrics,
  flags: TrainFlags,
  out: Output,
): Promise<void> {
  const { files, config } = p;
  const { weights, remembering, prior, ranking } = await loadModel(files);
  const alone = weights.metrics as Metrics | null;
  // After an interruption the blend is that of an earlier end, or there is none.
  const fitted = result.reason === 'interrupted' ? undefined : remembering?.blend.fitted;
  const cold = result.reason === 'interrupted' ? undefined : (await loadConfig(files)).attributeMemory?.fitted;
  const stages = result.reason === 'interrupted' ? undefined : ranking?.stages.fitted;
  const metrics = (ranking?.stages.weight ? stages?.both : stages?.retrieval) ?? cold?.blend ?? fitted?.blend ?? alone;
  const made: Record<string, Metrics> = cold
    ? { transformer: cold.transformer, attributes: cold.attributes }
    : fitted && alone
      ? { transformer: alone, memory: fitted.memory }
      : {};
  const components = { ...(stages ? { retrieval: stages.retrieval, ranker: stages.ranker } : {}), ...made };
  const records = await readMetrics(files);
  await writeModelCard(files, config, {
    date: new Date(),
    step: weights.step,
    epoch: weights.epoch,
    elapsedSeconds: Math.max(result.seconds, Number(records.at(-1)?.elapsedSeconds ?? 0)),
    split: 'valid',
    seen: config.seen,
    users: baselines.users,
    metrics,
    baselines: { ...named(components, config), ...baselines.metrics },
  });
  const dir = shellWord(flags.out);
  if (result.reason === 'interrupted') {
    throw new InterruptedError(
      `stopped at step ${formatCount(result.step)}; everything is saved in ${flags.out}; go on with: ${commandName()} train --out ${dir} --resume`,
    );
  }
  out.object({
    protocol: config.protocol,
    protocolParameters: config.protocolParameters ?? {},
    reason: result.reason,
    step: result.step,
    epoch: result.epoch,
    seconds: result.seconds,
    tokens: result.tokens,
    split: 'valid',
    seen: config.seen,
    users: baselines.users,
    metrics,
    parts: components,
    ...(prior && { newcomers: prior.settings.fitted }),
    baselines: baselines.metrics,
    model: { path: flags.out, step: weights.step, epoch: weights.epoch },
  });
  out.line(`${REASONS[result.reason]}; ${formatCount(result.step)} steps, ${formatCount(result.epoch)} whole epochs.`);
  if (result.tokens > 0) {
    out.line(
      `This run: ${formatCount(result.tokens)} tokens in ${formatDuration(result.seconds)} (with compiling, validating and saving).`,
    );
  }
  const plot = lossPlot(
    result.losses.map(({ loss }) => loss),
    { title: 'training loss' },
  );
  if (plot) out.line(`\n${plot}`);
  printFigures(metrics, components, weights.step, baselines, p, out);
  if (prior) {
    const { users, groups, popularity } = prior.settings.fitted;
    out.line(
      `\nSomebody new, of whom only columns are known (the first 10 events of ${formatCount(users)} users, whose own events do not count): NDCG@10 ${formatMetric(groups)} by what people alike like, ${formatMetric(popularity)} by popularity.`,
    );
  }
  printNext(p, flags, out);
}

/** Rows for what a model blends. */
function named(parts: Record<string, Metrics>, { recipe }: ModelConfig): Record<string, Metrics> {
  if (parts.attributes) return { [`${recipe} alone`]: parts.transformer, 'attributes alone': parts.attributes };
  return {
    ...(parts.retrieval ? { 'first stage': parts.retrieval, 'ranker alone': parts.ranker } : {}),
    ...(parts.memory ? { [`${recipe} alone`]: parts.transformer, 'memory alone': parts.memory } : {}),
  };
}

function printFigures(
  metrics: Metrics | null,
  components: Record<string, Metrics>,
  step: number,
  baselines: BaselineMetrics,
  p: Prepared,
  out: Output,
): void {
  if (!metrics) {
    out.line('\nNo validation has run yet: the time was too short. Go on with --resume.');
    return;
  }
  out.line(
    `\nValidation: ${describeTask(p.parts.protocol, 'valid', p.parts.items)}, seen items ${p.config.seen}, ${formatCount(baselines.users)} users; protocol ${protocolFlag(p.parts.protocol)}`,
  );
  out.line(
    metricsTable(
      {
        [`${p.config.recipe} (step ${formatCount(step)})${components.memory ? ' with memory' : components.attributes ? ' with attributes' : ''}${components.ranker ? ', two stages' : ''}`]:
          metrics,
        ...named(components, p.config),
        ...baselines.metrics,
      },
      COLUMNS,
    ),
  );
}

function printNext({ config, parts }: Prepared, flags: TrainFlags, out: Output): void {
  const command = commandName();
  const dir = shellWord(flags.out);
  const seen = config.seen === 'kept' ? ' --include-seen' : '';
  const ids = parts.dataset.itemIds.slice(0, 2).map((id) => (/[",\s]/.test(id) ? `"${id.replaceAll('"', '""')}"` : id));
  out.line(`\nThe model is in ${printable(flags.out)} (README.md there is its card). Next:`);
  out.line(`  ${command} evaluate --model ${dir} --data ${shellWord(flags.data ?? config.data.source)}${seen}`);
  out.line(`  ${command} recommend --model ${dir} --history ${shellWord(ids.join(','))}${seen}`);
}
