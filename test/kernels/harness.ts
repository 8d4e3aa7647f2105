/**
 * One row of the case table drives everything about an op: central differences prove the reference's backward in
 * double precision; the GPU's forward and backward, in every variant, are then held to that reference.
 */
import { type Device, type NumericArray, type Shape, ShardedTable, type Tensor } from '../../engine/index.ts';
import { FULL } from '../full.ts';

export interface InputSpec {
  shape: Shape;
  /** f32 with a gradient by default. */
  dtype?: 'f32' | 'u32';
  grad?: boolean;
  /** Value of element i; standard normal numbers if absent. */
  value?(i: number, normal: () => number): number;
}

export interface Case {
  /** The op's file under engine/ops/. */
  op: string;
  name: string;
  inputs: Record<string, InputSpec>;
  run(t: Record<string, Tensor>, device: Device, made: unknown): Tensor | Tensor[];
  /** Constants of the run that the host writes, which a recorded run may not do: made before it, freed after it. */
  prepare?(device: Device): { dispose(): void };
  /** Words of `device.state`; `STATE` if absent. */
  state?: Uint32Array;
  /** Inputs that reach the op as leaves in every form: tables that the case cuts into shards. */
  leaves?: readonly string[];
  /** The op refuses the case, at the call and on every device alike, with this in its message. */
  refused?: string;
  /** |gpu − reference| ≤ abs + rel · |reference|, forward and backward. */
  tolerance?: { abs: number; rel: number };
  /** Kernel name → files of its variants, or files with a tuning; each is run where the adapter can. All kernels run their first choice too. */
  variants?: Record<string, string[]>;
  /** Precision of the GPU's products; f32 where the adapter has no f16. */
  precision?: 'mixed';
  /** Off for ops with no gradient, or for cases whose function is not differentiable where they test it. */
  gradients?: boolean;
  /** One of many products of flags: `npm test` runs a seeded sample of them, `npm run test:full` all. */
  sampled?: boolean;
}

/** Shapes as a line: `2,5 1,5`. */
export const shapes = (line: string): Shape[] => line.split(' ').map((shape) => shape.split(',').map(Number));

/** The tunings of a kernel that reduces rows over a workgroup (see `subgroupVariants`). */
export const everyWidth = (file: string): string[] => [64, 128, 256].map((width) => `${file} WG=${width}`);

export interface Result {
  outputs: NumericArray[];
  grads: Record<string, NumericArray>;
  /** Of parameters: the norm of all gradients as the optimizer computed it, and its status, 0 where it went on. */
  optimizer?: { norm: number; status: number };
}

/** Every combination of one kernel forced to one of its files or tunings and the others free, and all of them free. */
export function choices(c: Case): Record<string, string>[] {
  const forced = Object.entries(c.variants ?? {}).flatMap(([kernel, files]) =>
    files.map((file) => ({ [kernel]: file })),
  );
  return [{}, ...forced];
}

/** Small generator for test data (mulberry32), and a normal one on top (Box–Muller). */
export function random(seed: number): { uniform(): number; normal(): number } {
  let s = seed >>> 0;
  const uniform = (): number => {
    s = (s + 0x6d2b79f5) >>> 0;
    let t = s;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return { uniform, normal };
}

export function makeInputs(c: Case): Record<string, NumericArray> {
  const { normal } = random(hash(`${c.op} ${c.name}`));
  const data: Record<string, NumericArray> = {};
  for (const [name, spec] of Object.entries(c.inputs)) {
    const n = spec.shape.reduce((a, b) => a * b, 1);
    // Rounded to f32, so that both devices see the same numbers.
    const array = spec.dtype === 'u32' ? new Uint32Array(n) : new Float32Array(n);
    for (let i = 0; i < n; i++) array[i] = spec.value ? spec.value(i, normal) : normal();
    data[name] = array;
  }
  return data;
}

export const differentiable = (spec: InputSpec): boolean => spec.dtype !== 'u32' && spec.grad !== false;

/** Seed 7, step 3, learning rate 1e-3, dropout on: what random ops see in every case. */
export const STATE: Uint32Array = (() => {
  const words = new Uint32Array(16);
  words[0] = 7;
  words[1] = 3;
  new Float32Array(words.buffer)[2] = 1e-3;
  words[5] = 1;
  return words;
})();

/** A table [V, D] as shards of so many rows, with gradients (of a leaf) in the table's own. */
export function sharded(table: Tensor, rows: number): ShardedTable {
  const [v] = table.shape;
  const parts = Array.from({ length: Math.ceil(v / rows) }, (_, i) => {
    const [from, to] = [i * rows, Math.min(v, (i + 1) * rows)];
    const part = table.detach().rows(from, to);
    if (table.grad) table.device.makeLeaf(part, table.grad.rows(from, to));
    return part;
  });
  return new ShardedTable(parts, table.label);
}

export function makeWeights(c: Case, outputs: readonly NumericArray[]): NumericArray[] {
  const { normal } = random(hash(`weights ${c.op} ${c.name}`));
  return outputs.map((o) => Float32Array.from(o, () => normal()));
}

export const hasGradients = (c: Case): boolean => c.gradients !== false && Object.values(c.inputs).some(differentiable);

/** The first element outside of the tolerance, in words, or null. NaN is outside of any tolerance. */
export function firstMismatch(
  what: string,
  actual: NumericArray,
  expected: NumericArray,
  { abs, rel }: { abs: number; rel: number },
): string | null {
  if (actual.length !== expected.length) return `${what}: ${actual.length} values, expected ${expected.length}`;
  for (let i = 0; i < actual.length; i++) {
    if (actual[i] === expected[i]) continue;
    if (!(Math.abs(actual[i] - expected[i]) <= abs + rel * Math.abs(expected[i]))) {
      return `${what}[${i}] = ${actual[i]}, expected ${expected[i]} (± ${abs} + ${rel}·|·|)`;
    }
  }
  return null;
}

/**
 * Whether a browser runs this. Its software adapter takes seconds to compile a shader and stores none, and the suite in
 * Node runs the same table: `npm test` samples there what Node runs whole.
 */
export const BROWSER = typeof window !== 'undefined';

/** Whether one of many cases is in the sample of one in `oneIn`; the same ones every time. */
export const inSample = (key: string, oneIn: number): boolean => FULL || hash(key) % oneIn === 0;

/** The first case of each op that is not refused. */
export function firstCases(cases: readonly Case[]): Case[] {
  const ops = new Set<string>();
  return cases.filter((c) => !c.refused && !ops.has(c.op) && ops.add(c.op));
}

/**
 * The cases that run: all of them in `npm run test:full`. Otherwise one in 32 of the products of flags; and in a browser
 * one in eight of that, one in 32 where each takes another matrix product (they compile longest), beside the first case
 * of each op and what is refused.
 */
export function suite(cases: readonly Case[]): Case[] {
  const first = new Set(firstCases(cases));
  return cases.filter((c) => {
    if (c.refused || first.has(c)) return true;
    const inBrowser = c.op === 'matmul' ? 32 : 8;
    return inSample(`${c.op} ${c.name}`, (c.sampled ? 32 : 1) * (BROWSER ? inBrowser : 1));
  });
}

/** How often a forced choice of kernel was wanted so far. */
const forced = new Map<string, number>();

/**
 * The choices of a case that are run: all of them, or those that no earlier case of its op has, the narrow ones; one in
 * four of these in a browser.
 */
export function wantedChoices(c: Case): { kernel: string; file: string }[] {
  return choices(c).flatMap((choice) =>
    Object.entries(choice).flatMap(([kernel, file]) => {
      const key = `${c.op} ${kernel} ${file}`;
      const ran = forced.get(key) ?? 0;
      if (!FULL && (ran > 0 || /WG=(128|256)/.test(file))) return [];
      if (!inSample(key, BROWSER ? 4 : 1)) return [];
      forced.set(key, ran + 1);
      return [{ kernel, file }];
    }),
  );
}

export function hash(text: string): number {
  let h = 2166136261;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
  return h >>> 0;
}
