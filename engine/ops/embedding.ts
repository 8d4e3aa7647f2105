/**
 * Rows of a table by number, and the sum of two such lookups with dropout (items and positions at a model's input).
 * The gradient is deterministic: it follows lists of positions by row that the host sorts while batching
 * (`groupRows` in engine/rows.ts), one group of threads a row, popular rows split and summed in a second pass. Without them
 * a kernel looks for the positions of a row itself, at a cost that grows with their number squared.
 */
import { gradOf, intoSum } from '../autograd.ts';
import { dropoutParams } from '../random/keep.ts';
import { elementVariants, groups, type Kernel, kernel, type Params } from '../kernel.ts';
import { rowGroupLayout } from '../rows.ts';
import { isCompressed, shardsOf, type Table, type TableShard } from '../table.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { add } from './binary.ts';
import { embeddingBackward, embeddingBackwardScan, embeddingBackwardSplit, embeddingForward } from './embedding.ref.ts';
import { packedRows } from './packed-rows.ts';
import { expectType } from './shared/check.ts';
import { lanes } from './shared/lanes.ts';

/**
 * What `groupRows` packed for the ids, on the device: u32 [rowGroupLayout(L).words]. Where they belong to other ids, the
 * rows concerned get NaN for a gradient.
 */
export type RowGroups = Tensor;

/** A variant for rows of vec4 and one for any width. */
function rowKernel(name: string): Kernel {
  const variant = (file: string, unit: number) => ({
    file,
    accepts: (p: Params) => p.d % unit === 0,
    grid: (p: Params) => groups(p.rows, 64 / lanes(p.d / unit)),
    constants: (p: Params) => ({ LANES: lanes(p.d / unit) }),
  });
  return kernel(name, [variant(name, 4), variant(`${name}_scalar`, 1)]);
}

const FORWARD = rowKernel('embedding_fwd');
const BACKWARD = rowKernel('embedding_bwd');
const BACKWARD_SCAN = kernel('embedding_bwd_scan', (p) => groups(p.rows * p.d, 64));
const BACKWARD_SPLIT = kernel(
  'embedding_bwd_split',
  elementVariants('embedding_bwd_split', 'f32', ['d'], (size) => ({
    grid: (p) => groups(p.maxSplits, 64 / lanes(p.d / size)),
    constants: (p) => ({ LANES: lanes(p.d / size) }),
  })),
);

/**
 * table [V, D], ids u32 [...] → [..., D]. An id ≥ V gives a row of zeros and no gradient. A table in shards takes one
 * dispatch a shard, with the same bits; a compressed one has no gradient.
 * Where the table requires a gradient, `groups` may hold `groupRows(ids, …)`; positions it leaves out add nothing. Without
 * them the device compares every id with every other one: 16 times the work for 4 times the ids, so that batches of
 * thousands want groups.
 *
 * @param from the id of the table's first row, 0 by default: ids below it give zeros, too, so that tables may share ids
 */
export function embedding(table: Table, ids: Tensor, groups?: RowGroups, from = 0): Tensor {
  if (isCompressed(table)) return packedRows(table, ids, from);
  return lookup('embedding', table, ids, groups, null, from);
}

/**
 * dropout(items[ids] + positions[pos]): items [V, D], positions [T, D], ids and pos u32 [...] → [..., D], in one kernel
 * (a further dispatch for a further shard of items). Ids beyond a table count as rows of zeros. Compressed items are looked
 * up by a kernel of their own, and take no dropout.
 */
export function embeddingSum(
  items: Table,
  ids: Tensor,
  itemGroups: RowGroups | undefined,
  positions: Tensor,
  pos: Tensor,
  positionGroups: RowGroups | undefined,
  dropout = 0,
): Tensor {
  if (isCompressed(items)) {
    if (dropout > 0) throw new Error(`embeddingSum: expected no dropout of a compressed table, got ${dropout}`);
    return add(packedRows(items, ids), embedding(positions, pos, positionGroups));
  }
  return lookup('embeddingSum', items, ids, itemGroups, {
    table: positions,
    ids: pos,
    groups: positionGroups,
    dropout,
  });
}

interface Second {
  table: Tensor;
  ids: Tensor;
  groups: RowGroups | undefined;
  dropout: number;
}

function lookup(
  who: string,
  table: Table,
  ids: Tensor,
  rowGroups: RowGroups | undefined,
  second: Second | null,
  from = 0,
): Tensor {
  const { device } = table;
  check(who, table, ids, rowGroups);
  if (second) {
    check(who, second.table, second.ids, second.groups);
    if (second.table.shape[1] !== table.shape[1]) {
      throw new Error(`${who}: widths differ, ${showShape(table.shape)} and ${showShape(second.table.shape)}`);
    }
    if (second.ids.size !== ids.size)
      throw new Error(`${who}: lengths differ, ${showShape(ids.shape)} and ${showShape(second.ids.shape)}`);
  }
  const d = table.shape[1];
  const mask = dropoutParams(who, second?.dropout ?? 0, second ? device.opCounter++ : 0);
  const state = mask.dropout ? device.state : null;
  const x = device.empty([...ids.shape, d], 'f32', who);
  const shards = shardsOf(table).map((shard) => ({ ...shard, first: shard.first + from }));
  // The first shard writes every row, further ones those whose id is theirs.
  for (const [i, { tensor, first, rows: v }] of shards.entries()) {
    const tensors = { state, table: tensor, ids, second: second?.table ?? null, ids2: second?.ids ?? null, x };
    const two = { two: second ? 1 : 0, v2: second?.table.shape[0] ?? 0 };
    const part = { v, first, only: i > 0 ? 1 : 0 };
    device.run(FORWARD, embeddingForward, tensors, { rows: ids.size, d, ...part, ...two, ...mask });
  }
  device.tape.record([...shards.map((s) => s.tensor), second?.table], x, () => {
    const dx = gradOf(x);
    if (table.requiresGrad) addRows(shards, ids, rowGroups, dx, state, mask);
    if (second?.table.requiresGrad) addRows(shardsOf(second.table), second.ids, second.groups, dx, state, mask);
  });
  return x;
}

function check(who: string, table: Table, ids: Tensor, rowGroups: RowGroups | undefined): void {
  for (const { tensor } of shardsOf(table)) expectType(who, 'table', tensor);
  if (table.rank !== 2) throw new Error(`${who}: expected a table [V,D], got ${showShape(table.shape)}`);
  if (ids.dtype !== 'u32') throw new Error(`${who}: expected u32 ids, got ${ids.dtype} ${showShape(ids.shape)}`);
  if (!rowGroups) return;
  const { words } = rowGroupLayout(ids.size);
  if (rowGroups.dtype !== 'u32' || rowGroups.size !== words) {
    throw new Error(
      `${who}: expected row groups u32 [${words}] for ids ${showShape(ids.shape)}, got ${rowGroups.dtype} ${showShape(rowGroups.shape)}`,
    );
  }
}

/** Adds to the table's gradient what its rows received; a segment or a split row counts for the shard that has its row. */
function addRows(
  shards: readonly TableShard[],
  ids: Tensor,
  rowGroups: Tensor | undefined,
  dx: Tensor,
  state: Tensor | null,
  mask: Params,
): void {
  const { device } = dx;
  const d = dx.shape[dx.rank - 1];
  if (!rowGroups) {
    for (const { tensor, first, rows: v } of shards) {
      const tensors = { state, ids, dx, dtable: intoSum(tensor) };
      device.run(BACKWARD_SCAN, embeddingBackwardScan, tensors, { rows: ids.size, d, v, first, ...mask });
    }
    return;
  }
  const layout = rowGroupLayout(ids.size);
  const partial = device.empty([layout.maxSlots, d], 'f32', 'embedding partials');
  for (const { tensor, first, rows: v } of shards) {
    const dtable = intoSum(tensor);
    const common = { d, v, first, segments: layout.segments, splits: layout.splits, positions: layout.positions };
    const params = { ...common, rows: layout.budget, maxSplits: layout.maxSplits, ...mask };
    device.run(BACKWARD, embeddingBackward, { state, groups: rowGroups, ids, dx, partial, dtable }, params);
    if (layout.maxSplits > 0)
      device.run(BACKWARD_SPLIT, embeddingBackwardSplit, { groups: rowGroups, partial, dtable }, params);
  }
}
