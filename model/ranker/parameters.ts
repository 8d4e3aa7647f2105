/** What a ranker of given shape learns: names, shapes and initial values. Matrices are [in, out], used as x · W + b. */
import { normal, type ParameterSpec, type Shape, sizeOf } from '../../engine/index.ts';
import type { RankerSettings } from '../recipes/ranker-settings.ts';

const INIT_STD = 0.02;

/** What the ranker is to be built from. */
export interface RankerShape extends RankerSettings {
  d: number;
  ff: number;
  window: number;
}

/** Rows of its tables. */
export interface RankerRows {
  items: number;
  /** Of the attribute table, A; 0 where candidates are their IDs alone. */
  attributes: number;
}

/** @param table the encoder's items E [V, D], to start from; null where weights are loaded */
export function rankerParameters(
  s: RankerShape,
  rows: RankerRows,
  table: Float32Array | null,
  seed: number,
): ParameterSpec[] {
  return describeRanker(s, rows, table, seed).map(({ init, ...spec }) => ({ ...spec, init: init() }));
}

/** A parameter whose initial values have not been drawn yet. */
type Planned = Omit<ParameterSpec, 'init'> & { init: () => Float32Array };

/** The same without values: names and shapes cost nothing. */
export function describeRanker(
  s: RankerShape,
  { items, attributes }: RankerRows,
  table: Float32Array | null = null,
  seed = 0,
): Planned[] {
  const { d, ff, window, rankerBlocks } = s;
  const all: Planned[] = [];
  let stream = 0x1000; // apart from the encoder's
  const matrix = (name: string, shape: Shape, more: Partial<Planned> = {}): void => {
    const own = stream++;
    all.push({ name, shape, decay: true, init: () => normal(sizeOf(shape), seed, own, INIT_STD), ...more });
  };
  const vector = (name: string, n: number, value: number): void => {
    all.push({ name, shape: [n], decay: false, init: () => new Float32Array(n).fill(value) });
  };
  const linear = (name: string, rows: number, cols: number): void => {
    matrix(`${name}.weight`, [rows, cols]);
    vector(`${name}.bias`, cols, 0);
  };
  const norm = (name: string): void => {
    vector(`${name}.weight`, d, 1);
    vector(`${name}.bias`, d, 0);
  };
  const rows = { decay: false, embedding: true };
  matrix('items.weight', [items, d], { ...rows, table: true, ...(table ? { init: () => table } : {}) });
  matrix('biases.weight', [items, 1], { ...rows, table: true, init: () => new Float32Array(items) });
  if (attributes > 0) matrix('attributes.weight', [attributes, d], rows);
  matrix('positions.weight', [window, d], rows);
  matrix('places.weight', [window, d], rows);
  linear('states', d, d);
  norm('states.norm');
  for (let i = 0; i < rankerBlocks; i++) {
    const b = `blocks.${i}`;
    if (s.rankerMutual === 'on') {
      norm(`${b}.states.norm`);
      linear(`${b}.states.query`, d, d);
      linear(`${b}.states.keyvalue`, d, 2 * d);
      linear(`${b}.states.out`, d, d);
      norm(`${b}.states.norm2`);
    }
    norm(`${b}.norm1`);
    linear(`${b}.query`, d, d);
    linear(`${b}.keyvalue`, d, 2 * d);
    linear(`${b}.out`, d, d);
    norm(`${b}.norm2`);
    linear(`${b}.ffn.up`, d, ff);
    linear(`${b}.ffn.down`, ff, d);
  }
  norm('norm');
  matrix('sought.weight', [d, d], { init: () => new Float32Array(d * d) });
  vector('sought.bias', d, 0);
  matrix('output.weight', [d, 1], { init: () => new Float32Array(d) });
  vector('output.bias', 1, 0);
  return all;
}
