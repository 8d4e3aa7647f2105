/**
 * Kernels as data: a WGSL file, what it asks of the adapter, how its grid follows from the shapes.
 * The text of a kernel is the single source of truth for its bindings and its `Params` fields.
 */
import { lib, sources } from '../kernels/index.ts';

/** What the adapter can do, as far as a variant may ask. */
export interface Capabilities {
  subgroups: boolean;
  subgroupMin: number;
  subgroupMax: number;
  f16: boolean;
  /** Sizes of subgroup matrices with f16 operands and f32 sums. */
  matrices: readonly MatrixSize[];
  timestamps: boolean;
  maxInvocations: number;
  maxWorkgroupBytes: number;
  maxBindingBytes: number;
  maxBufferBytes: number;
}

/** A subgroup-wide product: M × K times K × N. */
export interface MatrixSize {
  m: number;
  n: number;
  k: number;
}

export type Params = Record<string, number>;
export type Grid = readonly [number, number, number];
export type Constants = Record<string, number | boolean | string>;

/** One way to run a kernel. */
export interface Variant {
  /** Stem of the file, in whatever folder of kernels/. */
  file: string;
  /** Values for the `// @tune` constants that make this variant differ from others of the same file (tile sizes). */
  tuning?: Constants;
  /** Which adapters can run it; all, if absent. */
  requires?(caps: Capabilities): boolean;
  /** Which shapes it can take; all, if absent. */
  accepts?(params: Params): boolean;
  /** Where it is a sane choice that nobody measured; everywhere, if absent. A tuned or forced choice does not ask. */
  suits?(caps: Capabilities, params: Params): boolean;
  /** Workgroups, from the shapes alone. */
  grid(params: Params): number | Grid;
  /** Values for the `// @tune` constants, from the shapes' class (a flag, a width), never from a running value. */
  constants?(params: Params): Constants;
}

/** What the tuner calls the same shape: sizes count by powers of two, flags as they are. */
export interface ShapeClass {
  sizes: readonly string[];
  flags?: readonly string[];
}

/** A named kernel with its variants in order of preference; the last one runs everywhere. */
export interface Kernel {
  name: string;
  variants: readonly Variant[];
  /** What a measured choice holds for; a kernel without it is not tuned. */
  shape?: ShapeClass;
}

/**
 * `kernel('gelu_fwd', p => ceil(p.n / 1024))`, or a list of variants where there are several.
 * @param texts files that kernels/index.ts does not have, since only some pages need them
 */
/* @__NO_SIDE_EFFECTS__ */
export function kernel(
  name: string,
  how: Variant['grid'] | readonly Variant[],
  shape?: ShapeClass,
  texts: Readonly<Record<string, string>> = {},
): Kernel {
  Object.assign(sources, texts);
  return { name, variants: typeof how === 'function' ? [{ file: name, grid: how }] : how, shape };
}

/** A variant's name: its file, and its tuning if it has one: `matmul_gpu BM=64 BN=64`. */
export function choiceOf({ file, tuning }: Variant): string {
  if (!tuning) return file;
  return `${file} ${Object.entries(tuning)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')}`;
}

/** The class of these shapes, or null where the kernel is not tuned: `m12 n6 k6 transA0`. */
export function classOf({ shape }: Kernel, params: Params): string | null {
  if (!shape) return null;
  const size = (n: number): string | number => (n > 0 ? Math.round(Math.log2(n)) : 'empty');
  return [
    ...shape.sizes.map((name) => `${name}${size(params[name])}`),
    ...(shape.flags ?? []).map((name) => `${name}${params[name]}`),
  ].join(' ');
}

/**
 * Adapters that compute on the CPU (lavapipe: subgroups of 8, SwiftShader: of 4), where loads and barriers cost more
 * than arithmetic, so that what is made for a GPU is no sane choice without a measurement.
 */
export const software = (c: Capabilities): boolean => c.subgroups && c.subgroupMax <= 8;

/** Subgroups of exactly 8 lanes. */
export const lanes8 = (c: Capabilities): boolean => c.subgroups && c.subgroupMin === 8 && c.subgroupMax === 8;

/** Subgroups of exactly 4 lanes. */
export const lanes4 = (c: Capabilities): boolean => c.subgroups && c.subgroupMin === 4 && c.subgroupMax === 4;

/** Threads of a workgroup among which the tuner chooses for kernels that reduce a row. */
const WIDTHS = [64, 128, 256] as const;

/**
 * Variants of a kernel that reduces `length` elements in each of `count` workgroups, for subgroups of any width: one for
 * each size of workgroup. Without a measurement, a GPU takes the smallest that has at most 16 elements a thread.
 */
export function subgroupVariants(
  file: string,
  grid: Variant['grid'],
  length: (params: Params) => number,
): readonly Variant[] {
  return WIDTHS.map((WG, i) => ({
    file,
    tuning: { WG },
    requires: (c) => c.subgroups && c.maxInvocations >= WG,
    suits: (c, p) => !software(c) && (length(p) <= 16 * WG || i === WIDTHS.length - 1),
    grid,
  }));
}

/**
 * Two variants of a file whose `alias Element` makes it serve rows of vec4, where every one of `sizes` is divisible by 4,
 * and rows of any width. `how` gives the grid, and more constants, for a number of f32 or u32 in an Element.
 */
export function elementVariants(
  file: string,
  scalar: 'f32' | 'u32',
  sizes: readonly string[],
  how: (size: number) => { grid: Variant['grid']; constants?(params: Params): Constants },
): readonly Variant[] {
  return [4, 1].map((SIZE) => {
    const { grid, constants } = how(SIZE);
    const Element = SIZE === 4 ? `vec4${scalar[0]}` : scalar;
    return {
      file,
      tuning: { SIZE },
      accepts: (p) => sizes.every((name) => p[name] % SIZE === 0),
      grid,
      constants: (p) => ({ ...constants?.(p), Element }),
    };
  });
}

/** Workgroups needed for n elements at `per` elements a workgroup. */
export const groups = (n: number, per: number): number => Math.ceil(n / per);

/** Most workgroups along one dimension of a grid, on every adapter. */
export const MAX_GRID = 65535;

/** A grid in three dimensions; a plain count above 65,535 is folded into two (see kernels/lib/group_index.wgsl). */
export function foldGrid(grid: number | Grid): Grid {
  if (typeof grid !== 'number') return grid;
  if (grid <= MAX_GRID) return [grid, 1, 1];
  const y = Math.ceil(grid / MAX_GRID);
  return [Math.ceil(grid / y), y, 1];
}

export interface BindingInfo {
  name: string;
  index: number;
  kind: 'uniform' | 'read' | 'write';
  type: string;
}

export interface ParamField {
  name: string;
  type: 'u32' | 'i32' | 'f32';
}

export interface KernelText {
  code: string;
  bindings: BindingInfo[];
  params: ParamField[];
}

const parsed = new Map<string, KernelText>();

/** Kernels that are no file of kernels/, by what takes the place of its stem. */
const added = new Map<string, string>();

/** Makes a kernel of this text, and gives what a variant names as its file; equal texts are one kernel. */
export function addSource(name: string, code: string): string {
  for (let i = 0; ; i++) {
    const file = `custom/${name}${i > 0 ? ` ${i}` : ''}`;
    if ((added.get(file) ?? code) !== code) continue;
    added.set(file, code);
    return file;
  }
}

/** The file's text with its helpers appended and its `@tune` constants rewritten, and what it binds. */
export function kernelText(file: string, constants: Constants = {}): KernelText {
  const key = `${file} ${JSON.stringify(constants)}`;
  const known = parsed.get(key);
  if (known) return known;
  const source = sources[file] ?? added.get(file);
  if (source === undefined)
    throw new Error(
      `kernel ${file}: no file in kernels/ is named ${file}.wgsl, or kernel() was not given the texts of its folder (APART in kernels/generate.mjs)`,
    );
  let code = source;
  for (const [name, value] of Object.entries(constants)) code = specialize(file, code, name, value);
  for (const helper of helpersOf(file, source)) code += `\n${lib[helper]}`;
  const text = { code, bindings: parseBindings(source), params: parseParams(source) };
  parsed.set(key, text);
  return text;
}

interface Contract {
  bindings: ReadonlyMap<string, BindingInfo>;
  params: readonly ParamField[];
}

const contracts = new WeakMap<Kernel, Contract>();

/** What a kernel reads and writes, by name, and its parameters: as its variant that runs everywhere declares them. */
export function contractOf(what: Kernel): Contract {
  let found = contracts.get(what);
  if (!found) {
    const { bindings, params } = kernelText(what.variants[what.variants.length - 1].file);
    found = { bindings: new Map(bindings.map((b) => [b.name, b])), params };
    contracts.set(what, found);
  }
  return found;
}

/** Throws unless what the kernel takes as integers are integers of 32 bits. */
export function expectIntegers(what: Kernel, params: Params): void {
  for (const { name, type } of contractOf(what).params) {
    const value = params[name];
    if (type !== 'f32' && !(Number.isInteger(value) && Math.abs(value) <= 0xffffffff))
      throw new Error(`${what.name}: expected an integer below 2^32 as the parameter ${name}, got ${value}`);
  }
}

/**
 * Rewrites the value on the line `const NAME: TYPE = …; // @tune`, the type on `alias NAME = …; // @tune`, or the result on
 * `fn NAME(…) -> TYPE { return …; } // @tune`.
 */
function specialize(file: string, code: string, name: string, value: number | boolean | string): string {
  const line = new RegExp(
    `^((?:const ${name}: (\\w+) =|alias ${name} =|fn ${name}\\(.*\\) -> \\w+ \\{ return) )[^;]+(;.*// @tune.*)$`,
    'm',
  );
  const match = line.exec(code);
  if (!match) throw new Error(`kernel ${file}: no line "const ${name}: … ; // @tune"`);
  const type = match[2];
  const literal = type === 'u32' ? `${value}u` : type === 'f32' ? `f32(${value})` : `${value}`;
  return code.replace(line, (_, before: string, _type, after: string) => before + literal + after);
}

/** Names of the helpers of kernels/lib/ that a file asks for (`// @use a, b`), those of the helpers included. */
function helpersOf(file: string, source: string, found: string[] = []): string[] {
  for (const match of source.matchAll(/^\/\/ @use (.+)$/gm)) {
    for (const name of match[1].split(',').map((s) => s.trim())) {
      if (lib[name] === undefined) throw new Error(`kernel ${file}: there is no kernels/lib/${name}.wgsl`);
      if (found.includes(name)) continue;
      found.push(name);
      helpersOf(file, lib[name], found);
    }
  }
  return found;
}

function parseBindings(source: string): BindingInfo[] {
  const pattern =
    /@group\(0\)\s*@binding\((\d+)\)\s*var<(uniform|storage)(?:,\s*(read_write|read))?>\s*(\w+)\s*:\s*([^;]+);/g;
  const aliases = new Map([...source.matchAll(/^alias (\w+) = (\w+);/gm)].map(([, name, type]) => [name, type]));
  return [...source.matchAll(pattern)].map((m) => ({
    index: Number(m[1]),
    kind: m[2] === 'uniform' ? 'uniform' : m[3] === 'read_write' ? 'write' : 'read',
    name: m[4],
    type: m[5].trim().replace(/\w+/g, (type) => aliases.get(type) ?? type),
  }));
}

function parseParams(source: string): ParamField[] {
  const body = /struct Params \{([^}]*)\}/.exec(source)?.[1];
  if (!body) return [];
  return [...body.matchAll(/(\w+)\s*:\s*(u32|i32|f32)/g)].map((m) => ({
    name: m[1],
    type: m[2] as ParamField['type'],
  }));
}

/** The bytes of a `Params` uniform: one 32-bit word a field, rounded up to 16 bytes. */
export function encodeParams(name: string, fields: readonly ParamField[], params: Params): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(Math.max(4, Math.ceil(fields.length / 4) * 4));
  const view = new DataView(words.buffer);
  fields.forEach((field, i) => {
    const value = params[field.name];
    if (value === undefined) throw new Error(`${name}: the parameter ${field.name} is missing`);
    if (field.type === 'f32') view.setFloat32(i * 4, value, true);
    else if (field.type === 'i32') view.setInt32(i * 4, value, true);
    else view.setUint32(i * 4, value, true);
  });
  return words;
}
