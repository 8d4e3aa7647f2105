/**
 * Item transitions: a sparse item–item matrix W learned from the training part in closed form
 * (train/transitions/learn.ts), stored with the transformer and blended with it.
 *
 *   m(u, j) = Σ_k r_k · W[item_k, j]     over the last items of the history, item_0 the latest, r_k = (1 + k)^−power
 *   score   = transformer(u, j) / σ(u) + b · log(max(m(u, j), 0) + ε)
 *
 * m estimates how likely j comes next, so that the blend multiplies two estimates (a product of experts, Hinton 2002);
 * what is the same for all of a user's candidates, such as the transformer's log-normalizer, changes no ranking. σ(u) is
 * the standard deviation of the user's transformer scores over the catalog. b and ε are fitted on validation
 * (train/stages/blend.ts); b = 0 leaves the transformer alone.
 */
import { InputError } from '../../data/errors.ts';
import {
  type Device,
  type RowLists,
  type SparseHost,
  type SparseShard,
  sparseScores,
  type Tensor,
} from '../../engine/index.ts';
import type { Files } from '../storage/files.ts';
import { encodePieces } from '../storage/safetensors.ts';
import { commit, type Source } from '../storage/manifest.ts';
import { checkNames, checkRows, metadataOf, readMetadata, readTensors, tensorOf, vector } from '../storage/tensors.ts';

export const MEMORY = 'memory.safetensors';
/** More events of a history than any setting reads: a larger number is damage. */
const MOST_LAST = 65_536;

/** How the transitions were learned; stored with them. */
export interface TransitionSettings {
  /** `exact`: one ridge regression over the whole catalog; `neighbours`: one for each item, on its likeliest predecessors. */
  method: 'exact' | 'neighbours';
  /** Events of a history that count. */
  last: number;
  /** r_k = (1 + k)^−power, of the history that is scored. */
  power: number;
  /** Weight of the ridge. */
  lambda: number;
  /** Largest weights of a row that were kept. */
  kept: number;
  /** The power of r_k in the examples; absent in folders of earlier versions, as are those below: as when scoring. */
  learningPower?: number;
  /** Weight of the examples that are read backward, 0 to 1: a target and what follows it. Absent: 0. */
  backward?: number;
  /** Whether events on items that the user has met before were no targets. Absent: they were. */
  firstOnly?: boolean;
  /** Whether it is EASE: the items of a history predict one another whatever their order. Absent: it is not. */
  orderFree?: boolean;
  /** What leads to an item was divided by its training events to this power. Absent: 0. */
  damping?: number;
}

export interface ItemTransitions {
  settings: TransitionSettings;
  /** W [V, V], columns rising in each row. */
  rows: SparseHost;
}

/** How the scores of the transitions join the transformer's; in config.json, whose `memory` means the transitions. */
export interface Blend {
  /** b */
  memory: number;
  /** ε */
  epsilon: number;
  /**
   * Number of users that it was fitted on, and the metrics of the transformer alone, the transitions alone, and the blend;
   * absent where it was taken from another model.
   */
  fitted?: { users: number } & Record<'transformer' | 'memory' | 'blend', Record<string, number>>;
  /** Steps of the encoder that it was fitted to; absent in folders of earlier versions. */
  step?: number;
}

/** b and ε. */
export type BlendWeights = Pick<Blend, 'memory' | 'epsilon'>;

/** r_k, the weight of the event k positions before the latest. */
export function recency({ last, power }: Pick<TransitionSettings, 'last' | 'power'>): Float32Array {
  return Float32Array.from({ length: last }, (_, k) => (1 + k) ** -power);
}

/** Writes the transitions; they are fixed from then on. */
export async function saveTransitions(files: Files, { settings, rows }: ItemTransitions): Promise<void> {
  const tensors = new Map([
    ['rowStarts', vector(rows.starts)],
    ['columns', vector(rows.columns)],
    ['values', vector(rows.values)],
  ]);
  await commit(files, { [MEMORY]: encodePieces(tensors, metadataOf('memory', JSON.stringify(settings))) });
}

/**
 * @returns null when the folder has none
 * @throws InputError, one line, when the file is cut short, damaged, or that of another catalog
 */
export async function loadTransitions(source: Source, items: number): Promise<ItemTransitions | null> {
  const stored = await readTensors(source, MEMORY);
  if (!stored) return null;
  const { tensors, metadata, path } = stored;
  const settings = readMetadata<TransitionSettings>(metadata, 'memory');
  if (!settings || !isSound(settings))
    throw new InputError('not-a-model', `${path}: not the item transitions of an Attune model`);
  checkNames(tensors, ['rowStarts', 'columns', 'values'], path);
  const starts = tensorOf(stored, 'rowStarts', 'U32', [items + 1]);
  const columns = tensorOf(stored, 'columns', 'U32', [null]);
  const values = tensorOf(stored, 'values', 'F32', [columns.length]);
  checkRows(starts, columns, items, path);
  return { settings, rows: { starts, columns, values } };
}

const isSound = ({ last, power }: TransitionSettings): boolean =>
  Number.isInteger(last) && last > 0 && last <= MOST_LAST && Number.isFinite(power);

/** The rows of the transitions on a device, in shards that each fit a binding. */
export class DeviceTransitions {
  readonly settings: TransitionSettings;
  readonly recency: Float32Array;
  private readonly shards: SparseShard[] = [];

  constructor(device: Device, { settings, rows }: ItemTransitions) {
    this.settings = settings;
    this.recency = recency(settings);
    const most = Math.floor(Math.min(device.maxBindingBytes, 2 ** 30) / 4);
    const { starts, columns, values } = rows;
    const items = starts.length - 1;
    for (let first = 0; first < items; ) {
      let to = first + 1;
      while (to < items && to - first < most - 1 && starts[to + 1] - starts[first] <= most) to++;
      const [begin, end] = [starts[first], starts[to]];
      if (end - begin > most)
        throw new Error(`transitions: row ${first} holds ${end - begin} entries, a binding ${most}`);
      // A binding is never empty.
      const upload = (data: Float32Array | Uint32Array, label: string) => {
        const tensor = device
          .empty([Math.max(1, data.length)], data instanceof Uint32Array ? 'u32' : 'f32', label)
          .keep();
        if (data.length > 0) device.write(tensor, data);
        return tensor;
      };
      this.shards.push({
        first,
        rows: to - first,
        starts: upload(
          starts.slice(first, to + 1).map((start) => start - begin),
          'transition rows',
        ),
        columns: upload(columns.slice(begin, end), 'transition columns'),
        values: upload(values.slice(begin, end), 'transition values'),
      });
      first = to;
    }
  }

  /** m [U, to − from] of the users' last items; `lists` as {@link listOf} writes them. */
  scores(lists: Omit<RowLists, 'longest'>, from: number, to: number): Tensor {
    return sparseScores(this.shards, { ...lists, longest: this.settings.last }, from, to);
  }

  /**
   * Writes a history's last items and their weights at `at`, the latest first.
   * @returns where the next list starts
   */
  listOf(history: Uint32Array, at: number, items: Uint32Array, weights: Float32Array): number {
    const n = Math.min(this.settings.last, history.length);
    for (let k = 0; k < n; k++) {
      items[at + k] = history[history.length - 1 - k];
      weights[at + k] = this.recency[k];
    }
    return at + n;
  }

  dispose(): void {
    for (const { starts, columns, values } of this.shards) for (const t of [starts, columns, values]) t.dispose();
  }
}
