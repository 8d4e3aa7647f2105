/**
 * Parameters in arenas: values, gradients and both moments of the optimizer are one flat tensor each, so that the
 * optimizer takes a few dispatches whatever the number of layers. Beyond what the adapter binds there are several
 * arenas (shards); a table that is larger than one binding by itself is split by rows over several of them. A table of
 * which a step reads few rows is in arenas of its own (row-table.ts).
 */
import type { Device } from '../device.ts';
import { exchange } from '../ops/adamw.ts';
import { fill } from '../ops/fill.ts';
import type { ParameterShard } from '../ops/shared/step.ts';
import { type RowOptimizer, RowTable } from './row-table.ts';
import { SHARD_ROWS, ShardedTable, shardsOf, type Table } from '../table.ts';
import { ALIGN, alignUp, type NumericArray, type Shape, showShape, sizeOf, type Tensor } from '../tensor.ts';

export interface ParameterSpec {
  name: string;
  shape: Shape;
  /** Whether weight decay applies. */
  decay: boolean;
  /** An embedding, which has a weight decay of its own; `decay` is false then. */
  embedding?: boolean;
  init: NumericArray;
  /** It is read by rows alone (see engine/table.ts), so that it may be split where it is larger than one binding. */
  table?: boolean;
  /**
   * Of a table [V, D]: how many of its rows a step reads at most. Its gradient is kept for those alone, and a step costs
   * what they cost (row-table.ts). Frozen parameters have none.
   */
  touchedRows?: number;
  /** What such a table is trained by; AdamW by default. Row-wise Adagrad has no moments. */
  rowOptimizer?: RowOptimizer;
}

/** The values, one of the optimizer's moments, or the values' moving average. */
export type ParameterKind = 'params' | 'm' | 'v' | 'average';

/** Where a parameter, or a range of a table's rows, lies. */
interface Piece {
  /** The number of the arena, or of the row table's shard behind them, and the first element within it. */
  shard: number;
  offset: number;
  shape: Shape;
  /** First element within the parameter. */
  from: number;
}

type Store = Pick<ParameterShard, 'params'> & Partial<Pick<ParameterShard, ParameterKind>>;

interface Entry {
  spec: ParameterSpec;
  pieces: Piece[];
  values: Tensor | ShardedTable;
}

export class ParameterArena {
  readonly device: Device;
  readonly shards: readonly ParameterShard[];
  /** The tables whose gradients are kept by row. */
  readonly rowTables: readonly RowTable[];
  /** Where pieces lie: the arenas, then the shards of the row tables. */
  private readonly stores: readonly Store[];
  #frozen: boolean;
  private readonly entries = new Map<string, Entry>();

  /**
   * Makes the arenas and the parameters, all with zeroed gradients and moments. They live until `dispose()`. Frozen ones
   * have the values alone, a quarter of the memory: they need no gradient and cannot be trained.
   */
  constructor(
    device: Device,
    specs: readonly ParameterSpec[],
    options: { maxBindingBytes?: number; frozen?: boolean } = {},
  ) {
    this.device = device;
    this.#frozen = options.frozen ?? false;
    const none = this.frozen ? device.zeros([1], 'nothing, the parameters are frozen').keep() : null;
    const limit = options.maxBindingBytes ?? device.maxBindingBytes;
    const byRow = specs.filter((s) => s.touchedRows !== undefined && !this.frozen);
    const plan = layOut(
      specs.filter((s) => !byRow.includes(s)),
      limit,
    );
    this.shards = plan.sizes.map(({ size, ...ends }, i) => {
      const zeros = (what: string): Tensor =>
        device.zeros([size], `${what}${plan.sizes.length > 1 ? ` ${i}` : ''}`).keep();
      const spare = (what: string): Tensor => none ?? zeros(what);
      const odd = plan.entries
        .flatMap(({ pieces }) => pieces.filter(({ shard, shape }) => shard === i && sizeOf(shape) % 4 !== 0))
        .map(({ offset, shape }) => offset + sizeOf(shape));
      const padding = odd.length > 0 && !this.frozen ? device.tensor(Uint32Array.from(odd)).keep() : null;
      const moments = { grads: spare('grads'), m: spare('m'), v: spare('v') };
      return { params: zeros('params'), ...moments, ...ends, padding };
    });
    const stores: Store[] = [...this.shards];
    this.rowTables = byRow.map((spec) => {
      let from = 0;
      const pieces = shapesOf(spec, limit).map((shape, i): Piece => {
        const piece = { shard: stores.length + i, offset: 0, shape, from };
        from += sizeOf(shape);
        return piece;
      });
      const table = new RowTable(
        device,
        spec,
        pieces.map(({ shape }) => shape[0]),
      );
      for (const shard of table.shards) stores.push(shard);
      for (const [i, { params }] of table.shards.entries()) device.write(params, part(spec.init, pieces[i]));
      this.entries.set(spec.name, { spec, pieces, values: table.values });
      return table;
    });
    this.stores = stores;
    for (const { spec, pieces } of plan.entries) {
      const tensors = pieces.map((piece) => {
        const { params, grads } = this.shards[piece.shard];
        const tensor = device.view(params, piece.offset, piece.shape, 'f32', spec.name);
        device.write(tensor, part(spec.init, piece));
        if (!this.frozen)
          device.makeLeaf(tensor, device.view(grads, piece.offset, piece.shape, 'f32', `grad of ${spec.name}`));
        return tensor;
      });
      const values = tensors.length === 1 ? tensors[0] : new ShardedTable(tensors, spec.name);
      this.entries.set(spec.name, { spec, pieces, values });
    }
  }

  /** Whether there are values alone. */
  get frozen(): boolean {
    return this.#frozen;
  }

  /** Frees gradients, moments and average: the values stay, as those of frozen parameters. */
  freeze(): void {
    if (this.frozen) return;
    this.#frozen = true;
    for (const { values } of this.entries.values()) {
      for (const { state } of shardsOf(values).map(({ tensor }) => tensor)) {
        state.requiresGrad = false;
        state.leaf = false;
        state.grad = null;
      }
    }
    for (const { grads, m, v, average, padding } of this.shards)
      for (const t of [grads, m, v, average, padding]) t?.dispose();
    for (const table of this.rowTables) table.freeze();
  }

  get names(): string[] {
    return [...this.entries.keys()];
  }

  /** Numbers that are trained, padding not counted. */
  get count(): number {
    return [...this.entries.values()].reduce((sum, p) => sum + sizeOf(p.spec.shape), 0);
  }

  /** A parameter. @throws Error where it was split; a table is had by `table` */
  get(name: string): Tensor {
    const { values } = this.entry(name);
    if (values instanceof ShardedTable) {
      throw new Error(
        `parameters: ${name} ${showShape(values.shape)} lies in ${values.shards.length} shards; use table('${name}')`,
      );
    }
    return values;
  }

  /** A table, whole or in shards. */
  table(name: string): Table {
    return this.entry(name).values;
  }

  shapeOf(name: string): Shape {
    return this.entry(name).spec.shape;
  }

  /** Sets every gradient to zero. `adamwStep` does so itself; this is for a step that was given up. */
  zeroGradients(): void {
    for (const { grads } of [...this.shards, ...this.rowTables]) fill(grads, 0);
  }

  /** Begins the moving average of the values: one more arena, which `adamwStep` keeps from then on. */
  async startAverage(): Promise<void> {
    if (this.frozen) throw new Error('parameters: frozen ones have no average');
    for (const s of this.stores) {
      s.average ??= this.device.zeros(s.params.shape, 'average').keep();
      this.device.write(s.average, await s.params.data());
    }
  }

  /** Exchanges the values with their average, row tables aside; a second call undoes the first, bit for bit. */
  exchangeAverage(): void {
    for (const s of this.shards) exchange(s.params, this.buffer(s, 'average'));
  }

  /** The parameters that have values of this kind: a table trained by row-wise Adagrad has no moments. */
  private entriesWith(kind: ParameterKind): [string, Entry][] {
    return [...this.entries].filter(([, { pieces }]) => !pieces.some(({ shard }) => lacks(this.stores[shard], kind)));
  }

  private buffer(shard: Store, kind: ParameterKind): Tensor {
    const tensor = shard[kind];
    if (!tensor) throw new Error(`parameters: no ${kind} was started`);
    if (this.frozen && kind !== 'params') throw new Error(`parameters: frozen ones have no ${kind}`);
    return tensor;
  }

  /** All values, or one of the moments, by name; those of a row table as they are stored, its idle rows not caught up. */
  async read(kind: ParameterKind = 'params'): Promise<Map<string, Float32Array>> {
    const arrays = await Promise.all(
      this.stores.map((s) => (lacks(s, kind) ? new Float32Array(0) : this.buffer(s, kind).data())),
    );
    return new Map(
      this.entriesWith(kind).map(([name, { spec, pieces }]) => {
        const values = new Float32Array(sizeOf(spec.shape));
        for (const { shard, offset, shape, from } of pieces)
          values.set(arrays[shard].subarray(offset, offset + sizeOf(shape)), from);
        return [name, values];
      }),
    );
  }

  /** Overwrites all values, or one of the moments. Every parameter must be there in its size, and nothing else. */
  load(kind: ParameterKind, values: ReadonlyMap<string, NumericArray>): void {
    const entries = this.entriesWith(kind);
    const unknown = [...values.keys()].find((name) => !entries.some(([known]) => known === name));
    if (unknown !== undefined) throw new Error(`parameters: ${unknown} is not a parameter of this model`);
    for (const [name, { spec }] of entries) {
      const size = values.get(name)?.length;
      if (size === undefined) throw new Error(`parameters: ${name} is missing`);
      if (size !== sizeOf(spec.shape))
        throw new Error(`parameters: expected ${name} ${showShape(spec.shape)}, got ${size} values`);
    }
    for (const [name, { pieces }] of entries) {
      for (const piece of pieces) {
        const target = this.device.view(
          this.buffer(this.stores[piece.shard], kind),
          piece.offset,
          piece.shape,
          'f32',
          name,
        );
        this.device.write(target, part(values.get(name) as NumericArray, piece));
      }
    }
  }

  dispose(): void {
    for (const { params, grads, m, v, average, padding } of this.shards)
      for (const t of [params, grads, m, v, average, padding]) t?.dispose();
    for (const table of this.rowTables) table.dispose();
  }

  private entry(name: string): Entry {
    const entry = this.entries.get(name);
    if (!entry) throw new Error(`parameters: there is no ${name}`);
    return entry;
  }
}

/** Whether there are no moments of these values. */
const lacks = (store: Store, kind: ParameterKind): boolean => (kind === 'm' || kind === 'v') && !store[kind];

/** A piece's share of a whole parameter's values. */
const part = (values: NumericArray, { from, shape }: Piece): NumericArray =>
  values.subarray(from, from + sizeOf(shape));

interface Plan {
  sizes: { size: number; decayEnd: number; tableEnd: number; embeddingEnd: number }[];
  entries: { spec: ParameterSpec; pieces: Piece[] }[];
}

/** Parameters that decay first, then tables, then other embeddings, each at a multiple of 256 bytes; a new shard where the limit would be passed. */
function layOut(specs: readonly ParameterSpec[], maxBindingBytes: number): Plan {
  const names = new Set<string>();
  const plan: Plan = { sizes: [], entries: [] };
  const order = (s: ParameterSpec): number => (s.decay ? 0 : !s.embedding ? 3 : s.table ? 1 : 2);
  for (const spec of [0, 1, 2, 3].flatMap((group) => specs.filter((s) => order(s) === group))) {
    if (names.has(spec.name)) throw new Error(`parameters: the name ${spec.name} was given twice`);
    names.add(spec.name);
    if (spec.init.length !== sizeOf(spec.shape))
      throw new Error(`parameters: ${spec.init.length} values do not fill ${spec.name} ${showShape(spec.shape)}`);
    let from = 0;
    const pieces = shapesOf(spec, maxBindingBytes).map((shape): Piece => {
      const room = Math.max(alignUp(sizeOf(shape) * 4), ALIGN) / 4;
      let shard = plan.sizes.at(-1);
      if (!shard || (shard.size + room) * 4 > maxBindingBytes) {
        shard = { size: 0, decayEnd: 0, tableEnd: 0, embeddingEnd: 0 };
        plan.sizes.push(shard);
      }
      const piece = { shard: plan.sizes.length - 1, offset: shard.size, shape, from };
      from += sizeOf(shape);
      shard.size += room;
      if (spec.decay) shard.decayEnd = shard.size;
      if (spec.decay || (spec.embedding && spec.table)) shard.tableEnd = shard.size;
      if (spec.decay || spec.embedding) shard.embeddingEnd = shard.size;
      return piece;
    });
    plan.entries.push({ spec, pieces });
  }
  return plan;
}

/** The shapes of a parameter's pieces: itself where it fits one binding, otherwise ranges of a table's rows. */
function shapesOf({ name, shape, table }: ParameterSpec, maxBindingBytes: number): Shape[] {
  if (alignUp(sizeOf(shape) * 4) <= maxBindingBytes) return [shape];
  const [rows, ...rest] = shape;
  const most = Math.floor(maxBindingBytes / (sizeOf(rest) * 4 * SHARD_ROWS)) * SHARD_ROWS;
  if (!table || most === 0) {
    const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
    throw new Error(
      `parameters: ${name} ${showShape(shape)} needs ${mib(sizeOf(shape) * 4)}, the adapter binds at most ${mib(maxBindingBytes)}`,
    );
  }
  return Array.from({ length: Math.ceil(rows / most) }, (_, i) => [Math.min(most, rows - i * most), ...rest]);
}
