/** What can be chosen of a training that is divided among workers, and what trains its partitions. */
import { InputError } from '../../data/errors.ts';
import { EXCHANGES, type Exchange, type Parallel } from '../../model/storage/config.ts';
import type { Files } from '../../model/storage/files.ts';

interface Choice {
  default: string;
  help: string;
  /** null where the text makes no sense */
  parse(text: string): number | Exchange | null;
  expected: string;
}

const numberFrom = (text: string): number => (text.trim() === '' ? Number.NaN : Number(text));

/** The keys of `sync`. Rate and momentum are those of DiLoCo (Douillard et al. 2023, section 3.1). */
export const SYNC: Readonly<Record<Exclude<keyof Parallel, 'workers'>, Choice>> = {
  steps: {
    default: '50',
    help: 'steps of a worker between two synchronizations, or all',
    expected: 'an integer >= 1, or all',
    parse: (text) => {
      if (text === 'all') return 0;
      const steps = numberFrom(text);
      return Number.isSafeInteger(steps) && steps >= 1 ? steps : null;
    },
  },
  rate: {
    default: '0.7',
    help: 'learning rate of the outer Nesterov step',
    expected: 'a number > 0',
    parse: (text) => {
      const rate = numberFrom(text);
      return rate > 0 && Number.isFinite(rate) ? rate : null;
    },
  },
  momentum: {
    default: '0.9',
    help: 'momentum of the outer Nesterov step',
    expected: 'a number >= 0 and < 1',
    parse: (text) => {
      const momentum = numberFrom(text);
      return momentum >= 0 && momentum < 1 ? momentum : null;
    },
  },
  exchange: {
    default: 'f16',
    help: `number format of what is exchanged: ${EXCHANGES.join(', ')}`,
    expected: EXCHANGES.join(', '),
    parse: (text) => EXCHANGES.find((known) => known === text) ?? null,
  },
};

/** @param sync by the keys of {@link SYNC} @throws InputError for an unknown key, or a value that makes no sense */
export function checkParallel(workers: number, sync: ReadonlyMap<string, string> = new Map()): Parallel {
  const unknown = [...sync.keys()].find((key) => !Object.hasOwn(SYNC, key));
  if (unknown !== undefined)
    throw new InputError('invalid-value', `expected ${Object.keys(SYNC).join(', ')}, got ${unknown}`, {
      setting: 'sync',
    });
  const chosen = Object.entries(SYNC).map(([key, choice]) => {
    const text = sync.get(key) ?? choice.default;
    const value = choice.parse(text);
    if (value === null)
      throw new InputError('invalid-value', `${key}: expected ${choice.expected}, got ${text}`, { setting: 'sync' });
    return [key, value];
  });
  return { workers, ...Object.fromEntries(chosen) };
}

/** What a round asks for. */
export interface RoundRequest {
  /** From 1. */
  round: number;
  /** Milliseconds since 1970 at which the partitions must be back. */
  until?: number;
  signal?: AbortSignal;
  /** @param back partitions of all that have ended or were given up */
  onProgress(back: number): void;
}

/** What came of a partition: what `trainPartition` gave, as JSON has carried it, or why there is nothing. */
export type PartitionOutcome = { answer: unknown } | { reason: string };

/** Machines that train the partitions of a training side by side. */
export interface Partitions {
  /** What they exchange. */
  readonly files: Files;
  /** A folder of one partition in one round; it is made where there is none. */
  folder(name: string): Promise<Files>;
  /** Removes all folders but these. */
  keepOnly(names: readonly string[]): Promise<void>;
  /**
   * Has every partition trained (`trainPartition`).
   * @param average gets what came of each partition, once all have ended or were given up
   * @throws Stopped by the signal
   */
  train<T>(request: RoundRequest, average: (outcomes: readonly PartitionOutcome[]) => Promise<T>): Promise<T>;
}
