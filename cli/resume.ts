/** `train --resume`: flags that describe the model may repeat what it was started with, and nothing else. */
import type { Protocol } from '../data/splits/protocol.ts';
import { type RatingSplit, splitParameters } from '../data/ratings/split.ts';
import type { ModelConfig, Parallel } from '../model/storage/config.ts';
import { checkParallel } from '../train/parallel/options.ts';
import { UsageError } from './errors.ts';
import { eventNames } from './input/side-features.ts';

/** Flags that describe a model: with `--resume` they come from its folder. */
export interface FixedFlags {
  recipe?: string;
  protocol: Protocol | RatingSplit;
  folds?: number;
  positive?: number;
  epochs?: number;
  set: ReadonlyMap<string, string>;
  seed: number;
  minInteractions: number;
  minRating?: number;
  includeSeen?: boolean;
  events?: string;
  workers?: number;
  sync?: ReadonlyMap<string, string>;
  init?: string;
  map?: string;
  freezeEpochs?: number;
  domainColumn?: string;
  guard?: boolean;
}

/** Flags whose values the folder does not keep as they were given: whether they are the same is unknown. */
type Unkept = 'dp' | 'items' | 'schema' | 'vectors' | 'usersSchema' | 'coldItems' | 'initVectors';

export type FixedFlag = keyof FixedFlags | Unkept;

const isText = (value: unknown): value is string => typeof value === 'string';

/** Whether a flag that was given says what the config holds. */
function repeats(name: FixedFlag, flags: FixedFlags, config: ModelConfig): boolean {
  const { data, hyperparameters: settings } = config;
  switch (name) {
    case 'recipe':
      return flags.recipe === config.recipe;
    case 'protocol': {
      const { protocol } = flags;
      const asked = 'parameters' in protocol ? protocol.parameters : splitParameters(protocol);
      const stored = new Map(Object.entries(config.protocolParameters ?? {}));
      return (
        protocol.name === config.protocol && Object.entries(asked).every(([key, value]) => stored.get(key) === value)
      );
    }
    case 'folds':
      return config.protocol === 'folds' && config.protocolParameters?.k === flags.folds;
    case 'positive':
      return flags.positive === config.positive;
    case 'epochs':
      return flags.epochs === settings.epochs;
    case 'set':
      return [...flags.set].every(([key, text]) => {
        const stored = Object.hasOwn(settings, key) ? settings[key] : undefined;
        return isText(stored) ? stored === text : text.trim() !== '' && Number(text) === stored;
      });
    case 'seed':
      return flags.seed === config.seed;
    case 'minInteractions':
      return flags.minInteractions === data.minInteractions;
    case 'minRating':
      return (flags.minRating ?? null) === data.minRating;
    case 'includeSeen':
      return (flags.includeSeen ? 'kept' : 'excluded') === config.seen;
    case 'init':
      return flags.init === config.init?.from;
    case 'map':
      return flags.map === config.init?.map;
    case 'freezeEpochs':
      return flags.freezeEpochs === config.init?.frozenEpochs;
    case 'domainColumn':
      return flags.domainColumn === config.schema.domain;
    case 'workers':
      return flags.workers === config.parallel?.workers;
    case 'sync': {
      const { parallel } = config;
      const asked = parallel && checkParallel(parallel.workers, flags.sync);
      return [...(flags.sync?.keys() ?? [])].every(
        (key) => asked?.[key as keyof Parallel] === parallel?.[key as keyof Parallel],
      );
    }
    case 'guard':
      return settings.guard === 'on';
    case 'events': {
      const stored = new Set((config.schema.events ?? []).map((column) => column.name));
      const asked = eventNames(flags);
      return asked.length === stored.size && asked.every((event) => stored.has(event));
    }
    default:
      return false;
  }
}

/**
 * @param given those of the flags that describe a model and were typed
 * @throws UsageError for those that say something else than the model was started with
 */
export function requireSameFlags(
  given: readonly FixedFlag[],
  flags: FixedFlags,
  config: ModelConfig,
  folder: string,
): void {
  const others = given.filter((name) => !repeats(name, flags, config));
  if (others.length === 0) return;
  const names = others.map((name) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`);
  const what = others.length === 1 ? 'this' : 'these';
  throw new UsageError(
    `${names.join(', ')}: --resume continues what ${folder} was started with; leave ${what} out, or start again with another --out`,
  );
}
