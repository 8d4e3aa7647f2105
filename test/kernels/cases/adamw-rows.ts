import {
  adamwRows,
  catchUpAll,
  catchUpRows,
  currentRows,
  noteStep,
  ROW_RING,
  type RowOptions,
  type RowShard,
  type RowState,
  TOUCHED_HEAD,
} from '../../../engine/ops/adamw-rows.ts';
import { adagradRows } from '../../../engine/ops/adagrad-rows.ts';
import { adamwStatus, STATUS, Tensor } from '../../../engine/index.ts';
import type { Case, InputSpec } from '../harness.ts';
import { BETAS, RATE } from './adamw.ts';

/** Rows that the step reads, of a table of 150; some belong to the second of two shards. */
const ROWS = [3, 149, 64, 0, 70];
const V = 150;
/** Rows of the first shard. */
const FIRST = 64;

/** In f32, whose rounding counts over many steps. */
const SLOW = Math.fround(0.998);

/** Steps idle: none, few, more than are made one by one, as many as the history has. */
const IDLE = [0, 1, 7, 190, 2_500];
const STEP = ROW_RING + 3_000;

interface Options {
  d: number;
  embeddingDecay?: number;
  tableRate?: number;
  averageDecay?: number;
  step?: number;
  failed?: boolean;
  /** Row-wise Adagrad: sums instead of moments. */
  adagrad?: boolean;
}

/** What an op of rows does to a table in two shards, from given moments. */
function rows(
  name: string,
  { d, step = STEP, failed, adagrad, ...more }: Options,
  run: (table: RowState, options: RowOptions, last: Tensor, y: Tensor) => unknown,
): Case {
  const words = adamwStatus(BETAS, step);
  if (failed) words[STATUS.FAILED] = step;
  const at = STATUS.TABLE + 2 * (Math.min(step, (words.length - STATUS.TABLE) / 2) - 1);
  words.copyWithin(STATUS.CORRECTION1, at, at + 2);
  words[STATUS.SCALE] = 0x3f000000; // .5
  const decayed = (steps: number): number => steps * Math.log1p(-1e-3 * (more.embeddingDecay ?? 0));
  // What an average keeps of itself grows in the first steps; otherwise what decays.
  const kept = (j: number): number => Math.min(more.averageDecay ?? 0, (1 + j) / (10 + j));
  const shareAt = (index: number): number =>
    more.averageDecay ? kept(step < ROW_RING ? index : ROW_RING + index) : 1e-3 * (more.embeddingDecay ?? 0);
  const doneAt = (row: number): number => step - Math.min(step, IDLE[row % IDLE.length]);
  const f32 = (shape: number[], value?: InputSpec['value']): InputSpec => ({ shape, grad: false, value });
  const u32 = (shape: number[], value: InputSpec['value']): InputSpec => ({ shape, dtype: 'u32', value });
  const part = (first: number, count: number) => {
    const shape = [count, d];
    return {
      [`params${first}`]: f32(shape),
      // A row whose first moment is zero is not made step by step.
      [`m${first}`]: f32(shape, (i, normal) => (Math.floor(i / d) % 5 === 2 ? 0 : normal())),
      [`v${first}`]: f32(shape, (_, normal) => 0.1 + normal() ** 2),
      [`average${first}`]: f32(shape),
      ...(adagrad ? { [`sums${first}`]: f32([count], (_, normal) => 0.1 + normal() ** 2) } : {}),
    };
  };
  return {
    op: adagrad ? 'adagrad-rows' : 'adamw-rows',
    name,
    inputs: {
      ...part(0, FIRST),
      ...part(FIRST, V - FIRST),
      grads: f32([ROWS.length + 2, d], (i, normal) => (i < ROWS.length * d ? normal() : 0)),
      touched: u32([TOUCHED_HEAD + 3 * (ROWS.length + 2)], (i) => {
        const [row, word] = [Math.floor((i - TOUCHED_HEAD) / 3), (i - TOUCHED_HEAD) % 3];
        if (i === 0) return ROWS.length;
        if (row < 0 || row >= ROWS.length) return 0xffffffff;
        return [ROWS[row], doneAt(ROWS[row]), ROWS.length - 1 - row][word];
      }),
      last: u32([V], doneAt),
      history: f32(
        [ROW_RING, 4],
        (i) => [1e-3 + (i % 60) * 1e-6, 1, shareAt(i >> 2), decayed(i >> 2 || ROW_RING)][i % 4],
      ),
      status: u32([words.length], (i) => words[i]),
    },
    state: RATE,
    run: (t, device) => {
      const shards = [0, FIRST].map(
        (first): RowShard => ({
          first,
          params: t[`params${first}`],
          ...(adagrad ? { sums: t[`sums${first}`] } : { m: t[`m${first}`], v: t[`v${first}`] }),
          ...(more.averageDecay ? { average: t[`average${first}`] } : {}),
        }),
      );
      const { grads, touched, history, status, last } = t;
      const table: RowState = { shards, grads, touched, history, decay: 'embeddingDecay' };
      const y = device.zeros(shards[1].params.shape);
      const read = run(table, { ...BETAS, eps: 1e-8, weightDecay: 0.1, rowRate: 20, ...more, status }, last, y);
      const state = shards.flatMap(({ params, m, v, sums, average }) =>
        [params, m, v, sums, average].filter((tensor) => tensor !== undefined),
      );
      const rowsRead = read instanceof Tensor ? [device.view(read, 0, [ROWS.length, d], 'f32', 'rows read')] : [];
      return [...state, ...rowsRead, grads, y, device.view(history, 0, [64 * 4], 'f32', 'history')];
    },
    variants: Object.fromEntries(
      ['rows_catch_up', 'rows_current', adagrad ? 'rows_adagrad' : 'rows_adamw'].map((name) => [
        name,
        [d % 4 === 0 ? `${name} SIZE=4` : `${name} SIZE=1`],
      ]),
    ),
    gradients: false,
    tolerance: { abs: 2e-6, rel: 1e-5 },
  };
}

export const adamwRowCases: Case[] = [
  rows('the rows of a step are caught up', { d: 8 }, catchUpRows),
  rows('rows of an odd width, with decay', { d: 7, embeddingDecay: 0.7 }, catchUpAll),
  rows('all rows, with an average', { d: 4, averageDecay: SLOW }, catchUpAll),
  rows('early steps, whose average is short', { d: 4, averageDecay: SLOW, step: 2_600 }, catchUpAll),
  rows('nothing is caught up after a step that was not finite', { d: 4, failed: true }, catchUpAll),
  rows('rows are read after a step that was not finite', { d: 3, failed: true, averageDecay: 0.9 }, catchUpRows),
  rows('the current values of a shard', { d: 12, embeddingDecay: 0.7 }, (table, options, last, y) =>
    currentRows(table, table.shards[1], options, last, y),
  ),
  rows('the current average of a shard', { d: 5, averageDecay: 0.9 }, (table, options, last, y) =>
    currentRows(table, table.shards[1], options, last, y),
  ),
  rows('a step of rows', { d: 68, embeddingDecay: 0.7, tableRate: 3 }, adamwRows),
  rows('a step of rows with an average', { d: 9, averageDecay: 0.9 }, adamwRows),
  rows('a step of rows', { d: 68, embeddingDecay: 0.7, adagrad: true }, adagradRows),
  rows('a step of rows of an odd width, with an average', { d: 9, averageDecay: 0.9, adagrad: true }, adagradRows),
  rows('no step of rows after one that was not finite', { d: 4, failed: true, adagrad: true }, adagradRows),
  rows('rows are caught up with decay', { d: 7, embeddingDecay: 0.7, adagrad: true }, catchUpRows),
  rows('all rows are caught up with an average', { d: 4, averageDecay: SLOW, adagrad: true }, catchUpAll),
  rows('the current average of a shard', { d: 5, averageDecay: 0.9, adagrad: true }, (table, options, last, y) =>
    currentRows(table, table.shards[1], options, last, y),
  ),
  rows('a step is noted', { d: 4, embeddingDecay: 0.7, tableRate: 3, step: ROW_RING + 5 }, noteStep),
  rows('the first step after the ring is noted', { d: 4, embeddingDecay: 0.7, step: ROW_RING + 1 }, noteStep),
];
