/** `attune train`: from a log to a model folder. */
import type { RatingTrainFlags, TrainFlags } from './train.flags.ts';
import { existsSync } from 'node:fs';
import { ownValue } from '../../data/own-value.ts';
import { describeTask, describeTime, protocolFlag } from '../../data/splits/protocol.ts';
import { contextNames } from '../../data/features/event-encoder.ts';
import { isRatingSplit } from '../../data/ratings/split.ts';
import type { Split } from '../../data/splits/split.ts';
import { type InitRecord, loadConfig, loadItems } from '../../model/storage/config.ts';
import type { Files } from '../../model/storage/files.ts';
import { validatedAt } from '../../model/recipes/derived.ts';
import type { Settings } from '../../model/recipes/settings.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { lockFolder } from '../../recommend/sources/lock.node.ts';
import { openPath } from '../../recommend/sources/sources.node.ts';
import { shareInHistory } from '../../train/evaluation/collector.ts';
import { requirePrecision, type RoundRecord, type TrainResult } from '../../train/loop/options.ts';
import { type AnySource, checkOptions, planTraining, type RankingPlan } from '../../train/plan.ts';
import { planTransfer } from '../../train/transfer/plan-transfer.ts';
import { finalPlan } from '../../train/final-plan.ts';
import { resumePlan } from '../../train/resume-plan.ts';
import { rowsOf, type TrainedModel } from '../../train/run-plan.ts';
import { checkParallel } from '../../train/parallel/options.ts';
import { describePrivacy, type PrivacyOptions, spentBy } from '../../train/privacy/options.ts';
import { describeBlend } from '../../train/stages/blend.ts';
import { commandName, openDevice, Output, planFrom, say, shellWord } from '../common.ts';
import { columnsOf, openItems, readIds } from '../input/data.ts';
import { addVectors } from '../input/item-vectors.ts';
import { preparedBeside } from '../input/prepared.ts';
import { InterruptedError, UsageError } from '../errors.ts';
import { METRIC_COLUMNS, noteRepeats } from '../output/metrics.ts';
import { openStoredSource, openTrainingSource, refuseModel, trainWithProgress } from '../training.ts';
import { checkSideFeatureFlags, columnChoices, eventNames } from '../input/side-features.ts';
import { type FixedFlag, requireSameFlags } from '../resume.ts';
import { SharedPartitions } from '../shared-partitions.ts';
import { metricsTable, formatCount, formatDuration, formatMetric, lossPlot, printable } from '../output/ui.ts';

/** Refuses what belongs to ratings. */
export function requireRanking(flags: RatingTrainFlags): TrainFlags {
  const { folds, positive, protocol, round, queue, workers, sync, resume } = flags;
  if (round !== undefined)
    throw new UsageError(`--round ${round}: is for the folds of ratings; add --task rating or --task ctr`);
  if (queue === undefined && (workers !== undefined || sync !== undefined))
    throw new UsageError('--workers and --sync require --queue, at which workers listen');
  if (queue !== undefined && workers === undefined && !resume)
    throw new UsageError(
      '--queue: add --workers N to train on N partitions of the users (or --task rating, whose folds are shared)',
    );
  const found =
    folds !== undefined
      ? `--folds ${folds}`
      : positive !== undefined
        ? `--positive ${positive}`
        : isRatingSplit(protocol.name)
          ? `--protocol ${protocol.name}`
          : null;
  if (found) throw new UsageError(`${found}: is for ratings; add --task rating or --task ctr`);
  return flags as TrainFlags;
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
  'init',
  'map',
  'initVectors',
  'freezeEpochs',
  'domainColumn',
  'workers',
  'sync',
  'dp',
  'guard',
] as const satisfies readonly FixedFlag[];

/** @param given names of the flags that the user typed */
export async function runTrain(flags: TrainFlags, given: ReadonlySet<string>): Promise<void> {
  const started = performance.now();
  const out = new Output(flags.json);
  if (flags.resume && flags.overwrite) throw new UsageError('--resume and --overwrite exclude each other');
  if (!flags.resume && flags.final === undefined && flags.data === undefined)
    throw new UsageError('--data PATH is missing: the log to learn from');
  if (flags.resume && flags.ranker && flags.epochs !== undefined) {
    throw new UsageError(
      '--epochs counts those of the model, which stays as it is with --resume --ranker; leave it out',
    );
  }
  if (flags.queue !== undefined && flags.ranker && flags.resume)
    throw new UsageError('--queue: the ranker is trained by one machine; leave it out');
  const { maxMinutes } = flags;
  const deadline = maxMinutes === undefined ? undefined : started + maxMinutes * 60_000;
  const plan = await planOf(flags, given, out, deadline);
  say(plan, out);
  noteRepeats(shareInHistory(plan.split, 'valid', plan.validationUsers), plan.config.seen, out);

  const device = await openDevice(flags.device, out);
  try {
    requirePrecision(device, plan.settings);
    const files = await NodeFiles.create(flags.out);
    const lock = await lockFolder(flags.out);
    let shared: SharedPartitions | undefined;
    try {
      if (flags.queue !== undefined) shared = await SharedPartitions.open(flags.queue, flags, plan, out);
      out.note(`training on ${device.name}: ${describeTraining(plan)}`);
      const { overwrite, progress } = flags;
      const limits = { deadline, overwrite, progress, partitions: shared };
      const trained = await trainWithProgress(device, plan, files, limits);
      reportTraining(trained, plan, flags, out);
    } finally {
      await shared?.close();
      await lock.release();
    }
  } finally {
    device.close();
  }
}

function planOf(
  flags: TrainFlags,
  given: ReadonlySet<string>,
  out: Output,
  deadline: number | undefined,
): Promise<RankingPlan> {
  if (flags.final !== undefined) return planFinal(flags.final, flags, given);
  return flags.resume ? planResume(flags, given) : planNew(flags, given, out, deadline);
}

async function planNew(
  flags: TrainFlags,
  given: ReadonlySet<string>,
  out: Output,
  deadline: number | undefined,
): Promise<RankingPlan> {
  const { recipe, protocol, epochs, minRating, includeSeen, seed, maxBadRows, progress } = flags;
  // A prepared dataset has a filter of its own.
  const minInteractions = given.has('minInteractions') ? flags.minInteractions : undefined;
  const events = eventNames(flags);
  const options = {
    recipe,
    settings: settingsOf(flags),
    protocol,
    epochs,
    minInteractions,
    minRating,
    includeSeen,
    seed,
    events,
    domainColumn: flags.domainColumn,
    parallel: flags.workers === undefined ? undefined : checkParallel(flags.workers, flags.sync),
    dp: flags.dp as PrivacyOptions | undefined,
  };
  // Before files are read, which may take long.
  const settings = checkOptions(options);
  checkTogether(flags, settings);
  checkSideFeatureFlags(flags, settings);
  if (existsSync(flags.out)) await refuseModel(await NodeFiles.open(flags.out), flags);
  const coldItems = flags.coldItems === undefined ? null : await readIds(flags.coldItems);
  const itemColumns = await columnChoices(flags.schema);
  const userColumns = await columnChoices(flags.usersSchema);
  const domain = await domainInLog(flags);
  const context = [...new Set([...contextNames(events), ...(domain === undefined ? [] : [domain])])];
  const reading = { columns: columnsOf(flags), context, namedByFile: domain, maxBadRows };
  const filter = { minInteractions: flags.minInteractions, minRating };
  const data = await preparedBeside(
    flags.out,
    { data: flags.data as string, reading, filter, progress, deadline },
    out,
  );
  const vectors = flags.map === 'vectors' ? undefined : flags.vectors;
  const source = await openTrainingSource({ ...flags, data, vectors }, reading.columns, events, domain);
  const planned = { ...options, coldItems, itemColumns, userColumns };
  const { init } = flags;
  if (init === undefined) return planFrom(source, out, () => planTraining(source, planned));
  const start = await openPath(init);
  const { map, freezeEpochs } = flags;
  const mapItems = await vectorsOf(start, source, flags);
  return planFrom(source, out, () => planTransfer(start, source, { ...planned, map, freezeEpochs, mapItems }));
}

/** The column of domains, unless the items have it. */
async function domainInLog({ domainColumn, items }: TrainFlags): Promise<string | undefined> {
  if (domainColumn === undefined || items === undefined) return domainColumn;
  const infos = await openItems(items);
  const known = [...infos.values()].some(({ attributes }) => ownValue(attributes, domainColumn) !== undefined);
  return known ? undefined : domainColumn;
}

/** Items of both catalogs with the vectors that --map vectors reads. */
async function vectorsOf(init: Files, { items }: AnySource, { map, vectors, initVectors }: TrainFlags) {
  if (map !== 'vectors') return undefined;
  const from = new Map((await loadItems(init)).map(({ id, title }) => [id, { title, attributes: {} }]));
  const to = new Map([...(items ?? [])].map(([id, { title = id }]) => [id, { title, attributes: {} }]));
  await addVectors(from, initVectors ?? []);
  await addVectors(to, vectors ?? []);
  return { from, to };
}

/** What flags ask for together, before anything is read. */
function checkTogether(flags: TrainFlags, settings: Settings): void {
  const { protocol, coldItems, items, schema, vectors, init, map, initVectors, freezeEpochs } = flags;
  const mapsVectors = map === 'vectors';
  if (init === undefined && (map ?? initVectors ?? freezeEpochs) !== undefined) {
    throw new UsageError('--map, --init-vectors and --freeze-epochs require --init MODEL, whose weights they take');
  }
  if (mapsVectors !== (initVectors !== undefined) || (mapsVectors && !vectors)) {
    throw new UsageError(
      '--map vectors requires --init-vectors, those of the items of --init, and --vectors, those of the log',
    );
  }
  if (vectors && settings.items !== 'tower' && !mapsVectors) {
    throw new UsageError('--vectors requires --set items=tower, which reads them with the columns of --items');
  }
  if (coldItems !== undefined && protocol.name !== 'cold-items') {
    throw new UsageError('--cold-items requires --protocol cold-items');
  }
  if (schema !== undefined && settings.items !== 'tower') {
    throw new UsageError('--schema requires --set items=tower, which reads the columns of --items');
  }
  if (settings.items === 'tower' && items === undefined) {
    throw new UsageError(
      `${protocol.name === 'cold-items' ? '--protocol cold-items' : '--set items=tower'} reads the items' attributes: name their file with --items PATH`,
    );
  }
}

/** What --set, --ranker and --guard say. */
function settingsOf({ set, ...switches }: TrainFlags): Record<string, string> {
  const given = Object.fromEntries(set);
  for (const name of ['ranker', 'guard'] as const) {
    if (!switches[name]) continue;
    if (given[name] === 'off') throw new UsageError(`--set ${name}=off and --${name} exclude each other`);
    given[name] = 'on';
  }
  return given;
}

async function planResume(flags: TrainFlags, given: ReadonlySet<string>): Promise<RankingPlan> {
  const files = await NodeFiles.open(flags.out);
  const config = await loadConfig(files);
  // The ranker's own settings are free where it alone is trained.
  const set = new Map([...flags.set].filter(([key]) => !(flags.ranker && key.startsWith('ranker'))));
  const fixed = FIXED.filter((name) => given.has(name));
  requireSameFlags(fixed, { ...flags, set }, config, flags.out);
  const source = await openStoredSource(flags, config);
  const ranker = flags.ranker ? Object.fromEntries(flags.set) : undefined;
  return resumePlan(files, source, { epochs: flags.epochs, ranker });
}

/** What `--final` takes from its model, or does without. */
const CHOSEN = ['resume', 'ranker', 'epochs', ...FIXED] as const;

async function planFinal(like: string, flags: TrainFlags, given: ReadonlySet<string>): Promise<RankingPlan> {
  // The items and their vectors may be newer than the model.
  const others = CHOSEN.filter((name) => given.has(name) && name !== 'items' && name !== 'vectors');
  if (others.length > 0) {
    const names = others.map((name) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`);
    throw new UsageError(`${names.join(', ')}: --final takes it from ${like}, or does without; leave it out`);
  }
  const files = await NodeFiles.open(like);
  const config = await loadConfig(files);
  if (existsSync(flags.out)) await refuseModel(await NodeFiles.open(flags.out), flags);
  return finalPlan(files, await openStoredSource({ ...flags, out: like }, config));
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

export function describeTraining({ config, settings: s, split }: RankingPlan): string {
  const model = `${config.recipe}, d ${s.d}, ${s.blocks} ${s.blocks === 1 ? 'block' : 'blocks'}, ${s.heads} ${s.heads === 1 ? 'head' : 'heads'}`;
  return `${model}, ${describeLoss(s)}, window ${s.window}, batches of ${formatCount(s.budget)} tokens, ${formatCount(split.trainPositions())} positions an epoch, seed ${config.seed}`;
}

const REASONS: Record<TrainResult['reason'], string> = {
  'early-stopping': 'stopped early: validation no longer improves',
  epochs: 'reached the number of epochs',
  steps: 'reached the number of steps',
  time: 'reached the time limit',
  interrupted: 'interrupted',
  ranker: 'the ranker is trained; the model under it stays as it was',
  'finished before': 'this training had finished before; nothing was left to do (--epochs N continues it)',
};

type Reported = Pick<TrainFlags, 'out' | 'data' | 'set' | 'resume' | 'ranker'>;

/** Prints the metrics and what to do next. @throws InterruptedError for a training that was interrupted */
export function reportTraining(trained: TrainedModel, plan: RankingPlan, flags: Reported, out: Output): void {
  const { config, result, metrics, components, baselines, coldStart, step, epoch } = trained;
  const dir = shellWord(flags.out);
  if (result.reason === 'interrupted') {
    // With --resume, the ranker that --ranker asks for is not among the folder's settings.
    const set = [...flags.set].map(([key, value]) => ` --set ${shellWord(`${key}=${value}`)}`);
    const more = flags.resume && flags.ranker ? ` --ranker${set.join('')}` : '';
    if (plan.warm)
      throw new InterruptedError(
        'stopped; the model that it started from is as it was: update it again with --overwrite',
      );
    if (plan.chosen)
      throw new InterruptedError('stopped; a training with --final is not continued: start it again with --overwrite');
    throw new InterruptedError(
      `stopped at step ${formatCount(result.step)}; everything is saved in ${flags.out}; continue with: ${commandName()} train --out ${dir} --resume${more}`,
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
    ...(coldStart && { newcomers: coldStart }),
    ...(config.init && { init: config.init }),
    baselines: baselines.metrics,
    model: { path: flags.out, step, epoch },
    ...(config.privacy && { privacy: { ...config.privacy, spent: spentBy(config.privacy, step) } }),
    ...(result.rounds && { rounds: result.rounds }),
  });
  out.line(`${REASONS[result.reason]}; ${formatCount(result.step)} steps, ${formatCount(result.epoch)} whole epochs.`);
  if (result.tokens > 0) {
    out.line(
      `This run: ${formatCount(result.tokens)} tokens in ${formatDuration(result.seconds)} (with compiling, validating and saving).`,
    );
  }
  for (const line of describeRounds(result.rounds ?? [])) out.line(line);
  if (config.init) out.line(describeInit(config.init, plan.split.items));
  const plot = lossPlot(
    result.losses.map(({ loss }) => loss),
    { title: 'training loss' },
  );
  if (plot) out.line(`\n${plot}`);
  printMetrics(trained, plan, out);
  if (coldStart) {
    const { users, groups, popularity } = coldStart;
    out.line(
      `\nCold-start users, of whom only columns are known (the first 10 events of ${formatCount(users)} users, whose own events do not count): NDCG@10 ${formatMetric(groups)} by the segment prior, ${formatMetric(popularity)} by popularity.`,
    );
  }
  printNext(trained, plan.split, flags, out);
}

function describeInit({ from, map, rows, explained }: InitRecord, items: number): string {
  const learned =
    explained === undefined
      ? ''
      : `; on items that were held out, the map explains ${(100 * explained).toFixed(1)} % of the variance of rows`;
  return `${formatCount(rows)} of ${formatCount(items)} items started from rows of ${from} (--map ${map})${learned}.`;
}

function describeRounds(rounds: readonly RoundRecord[]): string[] {
  if (rounds.length === 0) return [];
  const mean = (of: (record: RoundRecord) => number): number =>
    rounds.reduce((sum, record) => sum + of(record), 0) / rounds.length;
  const megabytes = (of: (record: RoundRecord) => number): string => `${(mean(of) / 1e6).toFixed(2)} MB`;
  const { round, leftOut } = { round: mean(({ seconds }) => seconds.round), leftOut: rounds.flatMap((r) => r.leftOut) };
  return [
    `${formatCount(rounds.length)} rounds of ${formatDuration(round)}, steps ${formatDuration(mean(({ seconds }) => seconds.steps))} of it; in a round ${megabytes(({ bytes }) => bytes.weights)} of weights were sent and ${megabytes(({ bytes }) => bytes.changes)} of changes came back.`,
    ...(leftOut.length > 0
      ? [`Left out ${formatCount(leftOut.length)} times: a partition that did not come back.`]
      : []),
  ];
}

function printMetrics(trained: TrainedModel, { split, settings }: RankingPlan, out: Output): void {
  const { config, metrics, components, baselines, step } = trained;
  if (config.protocol === 'final') {
    out.line('\nNo validation: it was trained on all events, with what the validation of another model chose.');
    return;
  }
  if (config.privacy) {
    out.line(`\n${describePrivacy(config.privacy, step)}.`);
    out.line('Not validated: that would read the log without noise. What evaluate prints is not covered either.');
    return;
  }
  if (!metrics) {
    out.line('\nNo validation has run yet: the time was too short. Continue with --resume.');
    return;
  }
  out.line(
    `\nValidation: ${describeTask(split.protocol, 'valid', split.items)}, seen items ${config.seen}, ${formatCount(baselines.users)} users; protocol ${protocolFlag(split.protocol)}; ${describeTime(validatedAt(settings))}`,
  );
  const { memory, attributes, ranker } = components;
  const whole = `${config.recipe} (step ${formatCount(step)})${memory ? ' with transitions' : attributes ? ' with attributes' : ''}${ranker ? ', two stages' : ''}`;
  const rows = { [whole]: metrics, ...rowsOf(components, config.recipe), ...baselines.metrics };
  out.line(metricsTable(rows, METRIC_COLUMNS));
  const meaning = config.blend && describeBlend(config.blend);
  if (meaning) out.line(meaning);
}

function printNext({ config }: TrainedModel, split: Split, flags: Reported, out: Output): void {
  const command = commandName();
  const dir = shellWord(flags.out);
  const seen = config.seen === 'kept' ? ' --include-seen' : '';
  const ids = split.dataset.itemIds.slice(0, 2).map((id) => (/[",\s]/.test(id) ? `"${id.replaceAll('"', '""')}"` : id));
  out.line(`\nThe model is in ${printable(flags.out)} (README.md there is its card). Next:`);
  if (config.protocol === 'final') out.line(`  ${command} serve --model ${dir}`);
  else out.line(`  ${command} evaluate --model ${dir} --data ${shellWord(config.data.source)}${seen}`);
  out.line(`  ${command} recommend --model ${dir} --history ${shellWord(ids.join(','))}${seen}`);
}
