/** What a model of given settings learns: names, shapes and initial values. Matrices are [in, out], used as x · W + b. */
import { InputError } from '../../data/errors.ts';
import { biasWidth, type Device, normal, type ParameterSpec, type Shape, sizeOf } from '../../engine/index.ts';
import { isCloze, readsTimes, type Settings } from '../recipes/recipes.ts';

/** Standard deviation of initial embeddings and weights (as in BERT and GPT-2). */
const INIT_STD = 0.02;
/** The item table, the one parameter that grows with the catalogue. */
export const ITEMS = 'items.weight';

interface Described {
  name: string;
  shape: Shape;
  /** A constant to start from, or normal numbers. */
  init: number | 'normal';
  /** Whether weight decay applies. */
  decay: boolean;
}

/** Columns of the bias table of attention; 0 where there is none. */
export const biasColumns = (s: Settings): number =>
  biasWidth({
    causal: s.direction === 'causal',
    position: s.bias === 'relative' || s.bias === 'both',
    time: readsTimes(s),
  });

/** What stands beside the items: rows of users' columns and of events (data/features/side-features.ts). */
export const SIDE = 'side.weight';

/** Rows of the tables that settings alone do not give. */
export interface TableRows {
  /** Of the item tower's attributes. */
  attributes?: number;
  /** Of what stands beside the items. */
  side?: number;
}

/** Names and shapes in the order in which they are drawn; `sasrec`'s must never change, since a seed's weights hang on it. */
function describe(s: Settings, items: number, { attributes = 0, side = 0 }: TableRows = {}): Described[] {
  const { d, ff } = s;
  const all: Described[] = [];
  const matrix = (name: string, rows: number, cols: number, decay = false) =>
    all.push({ name, shape: [rows, cols], init: 'normal', decay });
  const vector = (name: string, n: number, value: number) => all.push({ name, shape: [n], init: value, decay: false });
  const norm = (name: string) => {
    vector(`${name}.weight`, d, 1);
    vector(`${name}.bias`, d, 0);
  };
  const linear = (name: string, rows: number, cols: number) => {
    matrix(`${name}.weight`, rows, cols, true);
    vector(`${name}.bias`, cols, 0);
  };

  matrix(ITEMS, items, d);
  if (s.positions === 'learned') matrix('positions.weight', s.window, d);
  if (isCloze(s)) matrix('mask.weight', 1, d);
  for (let i = 0; i < s.blocks; i++) {
    const b = `blocks.${i}.`;
    norm(`${b}norm1`);
    if (s.norm === 'query') {
      linear(`${b}attention.query`, d, d);
      linear(`${b}attention.keyvalue`, d, 2 * d);
    } else linear(`${b}attention.qkv`, d, 3 * d);
    if (s.bias !== 'none')
      all.push({ name: `${b}attention.bias`, shape: [s.heads, biasColumns(s)], init: 0, decay: false });
    if (s.block === 'hstu') linear(`${b}gate`, d, d);
    if (s.norm !== 'query') linear(`${b}attention.out`, d, d);
    if (s.block === 'ligr') linear(`${b}gate1`, d, d);
    norm(`${b}norm2`);
    if (s.block === 'hstu') continue;
    linear(`${b}ffn.up`, d, s.activation === 'swiglu' ? 2 * ff : ff);
    linear(`${b}ffn.down`, ff, d);
    if (s.block === 'ligr') linear(`${b}gate2`, d, d);
  }
  norm('norm');
  if (s.projection === 'gelu') {
    linear('projection', d, d);
    norm('projection.norm');
  }
  if (s.head === 'mol') {
    const components = s.molUser * s.molItem;
    linear('head.user', d, s.molUser * s.molWidth);
    linear('head.item', d, s.molItem * s.molWidth);
    linear('head.gate.user.up', d, d);
    linear('head.gate.user.down', d, components);
    linear('head.gate.item.up', d, d);
    matrix('head.gate.item.down.weight', d, components, true);
    linear('head.gate.cross.up', components, s.molGate);
    matrix('head.gate.cross.down.weight', s.molGate, components, true);
  }
  if (s.items === 'tower' && attributes > 0) {
    matrix('tower.attributes.weight', attributes, d);
    norm('tower.norm1');
    linear('tower.attention.qkv', d, 3 * d);
    linear('tower.attention.out', d, d);
    norm('tower.norm2');
    linear('tower.ffn.up', d, 2 * d);
    linear('tower.ffn.down', 2 * d, d);
    norm('tower.norm');
    linear('tower.out', d, d);
  }
  if (side > 0) matrix(SIDE, side, d);
  if (s.decoder === 0) return all;
  if (s.positions === 'learned') matrix('decoder.positions.weight', s.continuation, d);
  for (let i = 0; i < s.decoder; i++) {
    const b = `decoder.${i}.`;
    norm(`${b}norm1`);
    linear(`${b}attention.qkv`, d, 3 * d);
    linear(`${b}attention.out`, d, d);
    norm(`${b}norm2`);
    linear(`${b}cross.query`, d, d);
    linear(`${b}cross.keyvalue`, d, 2 * d);
    linear(`${b}cross.out`, d, d);
    norm(`${b}norm3`);
    linear(`${b}ffn.up`, d, s.activation === 'swiglu' ? 2 * ff : ff);
    linear(`${b}ffn.down`, ff, d);
  }
  norm('decoder.norm');
  return all;
}

const EMBEDDINGS = [ITEMS, 'positions.weight', 'decoder.positions.weight', 'tower.attributes.weight', SIDE];

/**
 * The parameters with their initial values.
 * @param seed draws the matrices; null leaves them 0, for weights that are loaded
 * @param rows of the tables that settings alone do not give
 */
export function parameterSpecs(s: Settings, items: number, seed: number | null, rows: TableRows = {}): ParameterSpec[] {
  let stream = 0;
  return describe(s, items, rows).map(({ name, shape, init, decay }) => {
    const n = sizeOf(shape);
    const drawn = init === 'normal' && seed !== null;
    return {
      name,
      shape,
      decay,
      init: drawn ? normal(n, seed, stream++, INIT_STD) : new Float32Array(n).fill(init === 'normal' ? 0 : init),
      ...(name === ITEMS && s.items === 'ids' ? { table: true } : {}),
      ...(EMBEDDINGS.includes(name) ? { embedding: true } : {}),
    };
  });
}

/** Names and shapes of the parameters, without values. */
export const parameterShapes: (s: Settings, items: number, rows?: TableRows) => { name: string; shape: Shape }[] =
  describe;

/** Numbers that a model of these settings learns. */
export function parameterCount(s: Settings, items: number): number {
  return describe(s, items).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

/**
 * Every parameter but the item table is one binding, and so are 64 rows of that; said before weights are drawn, with what
 * to change.
 * @throws InputError
 */
export function requireRoom(device: Device, s: Settings, items: number, extra: TableRows = {}): void {
  const limit = device.maxBindingBytes;
  const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  for (const { name, shape } of describe(s, items, extra)) {
    const [rows, cols] = name === ITEMS && s.items === 'ids' ? [Math.min(items, 64), s.d] : shape;
    const bytes = rows * (cols ?? 1) * 4;
    if (bytes <= limit) continue;
    const what = name === ITEMS && s.items === 'ids' ? `64 rows of ${name}` : name;
    const change = name.includes('positions')
      ? 'window or d'
      : name.includes('ffn')
        ? 'd or ff'
        : name.startsWith('head')
          ? 'd or molWidth'
          : 'd';
    throw new InputError(
      'too-large',
      `${what} [${rows},${cols ?? 1}] needs ${mib(bytes)}, this adapter binds at most ${mib(limit)}`,
      { hint: `choose a smaller ${change}` },
    );
  }
}
