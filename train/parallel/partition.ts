/**
 * A partition of the users in a round of data-parallel training: some steps of ordinary training from the shared weights, with
 * AdamW's moments as the partition has them. They are stored with its change of the weights, for its next round.
 */
import { seeded, shuffle } from '../../data/random.ts';
import type { Split } from '../../data/splits/split.ts';
import type { Device } from '../../engine/index.ts';
import { toArrays } from '../../model/encoders/sequence-model.ts';
import { type Checkpoint, loadCheckpoint, saveCheckpoint, type Tensors } from '../../model/storage/checkpoint.ts';
import { damaged, InputError } from '../../data/errors.ts';
import { type Files, MemoryFiles } from '../../model/storage/files.ts';
import { checkInteger, checkNumber, checkText, either, listOf, object, oneOf } from '../../model/storage/json-check.ts';
import type { TrainOptions } from '../loop/options.ts';
import { Stopped } from '../loop/time-budget.ts';
import { createEncoder, trainEncoder } from '../loop/trainer.ts';
import type { RankingPlan } from '../plan.ts';
import { decodeExchange, encodeExchange, type Shapes, termsOf } from './exchange.ts';
import type { Partitions } from './options.ts';

/** Stream of the seed that divides the users. */
const DIVIDED = 0x9a2717;

/** What a round asks of its partitions, as its file says. */
export interface Round {
  terms: string;
  round: number;
  epochs: number | null;
  /** The folder in which each partition has left its moments; null before its first round. */
  states: (string | null)[];
}

/** What a partition reports of a round. */
export interface PartitionReport {
  reason: 'steps' | 'epochs' | 'time';
  steps: number;
  tokens: number;
  /** Mean of its steps. */
  loss: number | null;
  /** Bytes of the change, and of the moments that were written. */
  bytes: { change: number; state: number };
  /** Of the steps, of reading and writing, and of the rest. */
  seconds: { steps: number; exchange: number; start: number };
}

const many = checkInteger(0, Number.MAX_SAFE_INTEGER);
const seconds = checkNumber(0);

export const reportCheck = object<PartitionReport>({
  reason: oneOf(['steps', 'epochs', 'time']),
  steps: many,
  tokens: many,
  loss: either(checkNumber(-Number.MAX_VALUE), oneOf([null])),
  bytes: object<PartitionReport['bytes']>({ change: many, state: many }),
  seconds: object<PartitionReport['seconds']>({ steps: seconds, exchange: seconds, start: seconds }),
});

const roundCheck = object<Round>({
  terms: checkText,
  round: many,
  epochs: either(many, oneOf([null])),
  states: listOf(either(checkText, oneOf([null]))),
});

const numbered = (round: number): string => `round-${String(round).padStart(6, '0')}`;
/** The folder of a partition in a round; partitions count from 0. */
export const folderOf = (round: number, partition: number): string => `${numbered(round)}-part-${partition + 1}`;
export const roundFile = (round: number): string => `${numbered(round)}.json`;
export const weightsFile = (round: number): string => `${numbered(round)}.safetensors`;
export const CHANGE = 'change.safetensors';

/** Divides the users by the seed, so that all partitions have about as many positions. @returns the partition of each */
export function divideUsers(split: Split, partitions: number, seed: number): Uint16Array {
  const users = Uint32Array.from({ length: split.users }, (_, u) => u);
  const filled = new Float64Array(partitions);
  const found = new Uint16Array(split.users);
  for (const u of shuffle(users, seeded(seed, DIVIDED))) {
    const least = filled.indexOf(filled.reduce((a, b) => Math.min(a, b)));
    found[u] = least;
    filled[least] += Math.max(0, split.trainLength(u) - 1);
  }
  return found;
}

export interface PartitionOptions {
  device: Device;
  partitions: Pick<Partitions, 'files' | 'folder'>;
  round: number;
  /** From 0. */
  partition: number;
  /** `performance.now()` at which what this takes began, for `seconds.start`. */
  started: number;
  /** `performance.now()` at which everything must be saved. */
  deadline?: number;
  signal?: AbortSignal;
  onProgress?: TrainOptions['onProgress'];
}

/**
 * Trains one partition for the steps of a round, and leaves its change of the weights and its moments in its folder.
 * @throws InputError where the round is another training's @throws Stopped where the signal ended it
 */
export async function trainPartition(plan: RankingPlan, options: PartitionOptions): Promise<PartitionReport> {
  const { device, partitions, partition, round: number, started } = options;
  const { config, settings, split } = plan;
  if (!config.parallel) throw new InputError('conflicting-settings', 'this training is not divided among workers');
  const { workers, steps, exchange } = config.parallel;
  const terms = termsOf(config);
  const round = await readRound(partitions.files, number, terms, workers);
  const model = createEncoder({ ...plan, device, seed: config.seed });
  const clock = { start: performance.now() - started, exchange: 0 };
  const timed = async <T>(work: () => Promise<T>): Promise<T> => {
    const since = performance.now();
    try {
      return await work();
    } finally {
      clock.exchange += performance.now() - since;
    }
  };
  try {
    const shapes: Shapes = new Map(model.parameters.names.map((name) => [name, model.parameters.shapeOf(name)]));
    const shared = await timed(() => readWeights(partitions.files, number, shapes, terms));
    const state = round.states[partition];
    const before = state === null ? null : await timed(async () => readState(await partitions.folder(state)));
    // An ordinary training in memory that continues from the shared weights.
    const files = new MemoryFiles();
    if (before) await saveCheckpoint(files, { ...before, params: stored(shared, shapes) });
    else model.parameters.load('params', shared);
    const from = before?.counters.step ?? 0;
    const owners = divideUsers(split, workers, config.seed);
    const began = performance.now();
    let tokensPerSecond = 0;
    const { result, best } = await trainEncoder(model, {
      ...plan,
      device,
      files,
      // The shared weights have the moving average, and are validated.
      settings: { ...settings, ema: 0 },
      split: split.trainedOn(Uint8Array.from(owners, (owner) => Number(owner === partition))),
      seed: config.seed,
      resume: before !== null,
      epochs: round.epochs ?? undefined,
      lastStep: steps === 0 ? Number.MAX_SAFE_INTEGER : from + steps,
      deadline: options.deadline,
      signal: options.signal,
      onProgress: (progress) => {
        tokensPerSecond = progress.tokensPerSecond;
        options.onProgress?.(progress);
      },
    });
    const { reason } = result;
    if (reason !== 'steps' && reason !== 'epochs' && reason !== 'time') throw new Stopped('interrupted');
    // The rest of the time is compiling and saving in memory.
    const trained = (performance.now() - began) / 1000;
    const stepping = tokensPerSecond > 0 ? Math.min(trained, result.tokens / tokensPerSecond) : trained;
    const own = await partitions.folder(folderOf(number, partition));
    const bytes = await timed(async () => {
      const change = changeOf(toArrays(best ?? stored(shared, shapes)), shared);
      const pieces = encodeExchange(change, shapes, exchange, { terms, round: number, partition });
      const state = await storeState(own, await loadCheckpoint(files));
      await own.write(CHANGE, pieces);
      return { change: pieces.reduce((sum, piece) => sum + piece.length, 0), state };
    });
    const mean = result.losses.reduce((sum, { loss }) => sum + loss, 0) / result.losses.length;
    return {
      reason,
      steps: result.step - from,
      tokens: result.tokens,
      loss: result.losses.length > 0 ? mean : null,
      bytes,
      seconds: {
        steps: stepping,
        exchange: clock.exchange / 1000,
        start: clock.start / 1000 + trained - stepping,
      },
    };
  } finally {
    model.dispose();
  }
}

async function readRound(files: Files, number: number, terms: string, workers: number): Promise<Round> {
  const path = `${files.where}/${roundFile(number)}`;
  const bytes = await files.read(roundFile(number));
  if (!bytes) throw new InputError('not-found', `${path}: there is no such round`);
  const fail = damaged(path);
  let round: Round;
  try {
    round = JSON.parse(new TextDecoder().decode(bytes)) as Round;
  } catch (error) {
    return fail(`not readable as JSON (${(error as Error).message})`);
  }
  const problem = roundCheck(round, '');
  if (problem !== null) fail(problem);
  if (round.terms !== terms) fail(`of another training (its terms are ${round.terms}, expected ${terms})`);
  if (round.round !== number || round.states.length !== workers)
    fail(`expected round ${number} of ${workers} partitions, got ${round.round} of ${round.states.length}`);
  return round;
}

async function readWeights(files: Files, round: number, shapes: Shapes, terms: string) {
  const path = `${files.where}/${weightsFile(round)}`;
  const bytes = await files.read(weightsFile(round));
  if (!bytes) throw new InputError('not-found', `${path}: the shared weights of the round are not there`);
  return decodeExchange(bytes, path, shapes, { terms, round, partition: null });
}

/** Without the weights, which are the shared ones. */
async function storeState(files: Files, checkpoint: Checkpoint | null): Promise<number> {
  if (!checkpoint) throw new Error('training: no checkpoint was made');
  await saveCheckpoint(files, { ...checkpoint, params: new Map() });
  const { m, v, rows } = checkpoint;
  const own = rows ? [rows.last, rows.history, ...(rows.sums ? [rows.sums] : [])] : [];
  const arrays = [...[...m.values(), ...v.values()].map(({ data }) => data), ...own];
  return arrays.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

async function readState(files: Files): Promise<Checkpoint> {
  const state = await loadCheckpoint(files);
  return state ?? damaged(files.where)('the moments of the partition are not there');
}

const stored = (values: ReadonlyMap<string, Float32Array>, shapes: Shapes): Tensors =>
  new Map([...values].map(([name, data]) => [name, { shape: [...(shapes.get(name) ?? [])], data }]));

function changeOf(
  after: ReadonlyMap<string, Float32Array>,
  before: ReadonlyMap<string, Float32Array>,
): Map<string, Float32Array> {
  return new Map(
    [...after].map(([name, values]) => {
      const old = before.get(name) as Float32Array;
      return [name, values.map((value, i) => value - old[i])];
    }),
  );
}
