/** What a training writes before its first step: the config and the items of its model folder. */
import type { PrepareReport } from '../data/dataset.ts';
import { LEAVE_ONE_OUT, type Protocol } from '../data/splits/protocol.ts';
import type { Schema } from '../data/features/schema.ts';
import type { SideFeatureSchema } from '../data/features/event-encoder.ts';
import { VERSION } from './version.ts';
import { FORMAT_VERSION, type Item, type ModelConfig, type Parallel, type Privacy } from '../model/storage/config.ts';
import type { Settings } from '../model/recipes/settings.ts';

export interface ConfigOptions {
  recipe: string;
  settings: Settings;
  /** Path or name of the log. */
  source: string;
  /** Names of the log's columns, where the usual ones do not fit. */
  columns: { user?: string; item?: string; time?: string; rating?: string };
  minInteractions: number;
  minRating?: number;
  /** As the split resolved it; leave-one-out by default. */
  protocol?: Protocol;
  seen: 'excluded' | 'kept';
  seed: number;
  /** Of the items file, for the item tower. */
  schema?: Schema | null;
  /** Of the side features. */
  side?: SideFeatureSchema;
  usersFile?: string;
  /** Attribute of the items that says which domain they are of. */
  domain?: string;
  parallel?: Parallel;
  privacy?: Privacy;
}

/** What a config says of a dataset. */
interface Counted {
  report: Pick<PrepareReport, 'users' | 'items' | 'interactions'>;
}

/** The config of a new training; its device is filled in once there is one. */
export function newConfig(about: ConfigOptions, { report }: Counted, items: readonly Item[]): ModelConfig {
  const { users, items: itemCount, interactions } = report;
  const { recipe, settings, source, columns, minInteractions, minRating, seen, seed } = about;
  const { protocol = LEAVE_ONE_OUT } = about;
  return {
    formatVersion: FORMAT_VERSION,
    attune: VERSION,
    created: new Date().toISOString(),
    recipe,
    hyperparameters: { ...settings },
    schema: {
      columns: { ...columns },
      attributes: [...new Set(items.flatMap((item) => Object.keys(item.attributes)))],
      ...(about.schema ? { items: about.schema } : {}),
      ...about.side,
      ...(about.domain !== undefined && { domain: about.domain }),
    },
    data: {
      ...(about.usersFile !== undefined && { usersFile: about.usersFile }),
      source,
      users,
      items: itemCount,
      interactions,
      minInteractions,
      minRating: minRating ?? null,
    },
    protocol: protocol.name,
    protocolParameters: { ...protocol.parameters },
    seen,
    tokenBudget: settings.budget,
    seed,
    device: '',
    variants: {},
    ...(about.parallel && { parallel: about.parallel }),
    ...(about.privacy && { privacy: about.privacy }),
  };
}
