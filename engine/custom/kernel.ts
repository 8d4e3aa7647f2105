/** Kernels of the user's own: WGSL with its bindings declared beside it, held to the checks of the engine's. */
import type { Device } from '../device.ts';
import { addSource, type Grid, kernel, type Kernel, MAX_GRID, type ParamField, type Params } from '../kernel.ts';
import { expectType } from '../ops/shared/check.ts';
import type { Reference } from '../reference.ts';
import { showShape, type Tensor } from '../tensor.ts';

type Element = 'f32' | 'u32' | 'vec2f' | 'vec2u' | 'vec4f' | 'vec4u';

export interface KernelSpec {
  /** For messages and profiles. */
  name: string;
  /** What it reads and writes, by the names that the text has for these arrays. */
  bindings: Readonly<Record<string, `read ${Element}` | `write ${Element}`>>;
  /** Numbers that the text reads as `p.NAME`. */
  params?: Readonly<Record<string, ParamField['type']>>;
  /**
   * WGSL with an entry point `fn main`, without the declarations of bindings and of `p`, which are written in front of it. A
   * line `// @use group_index` appends a helper of kernels/lib.
   */
  wgsl: string;
  /** Workgroups, from the params. A plain number beyond 65,535 is folded into two dimensions: read it by `group_index`. */
  grid(params: Params): number | Grid;
  /** The same in naive loops over arrays: what the devices without a GPU run. */
  reference?: Reference;
}

export interface CustomKernel {
  /**
   * Runs it, eagerly or as part of a recorded step. What it writes and nothing wrote before reads as zeros.
   * @throws Error for tensors that are missing, unknown, or of another type, and for params that are missing
   */
  run(tensors: Readonly<Record<string, Tensor>>, params?: Params): void;
}

/** Whether text without comments has this name, other than behind a dot. */
export const mentions = (wgsl: string, name: string): boolean => new RegExp(`(?<!\\.)\\b${name}\\b`).test(wgsl);
export const withoutComments = (wgsl: string): string => wgsl.replace(/\/\/.*$/gm, '');

/** The text with its declarations in front. */
function withHeader({ name, bindings, params = {}, wgsl }: KernelSpec): string {
  const code = withoutComments(wgsl);
  if (!/\bfn\s+main\b/.test(code)) throw new Error(`${name}: expected an entry point "fn main" in the wgsl, got none`);
  if (/@(?:group|binding)\b/.test(code))
    throw new Error(`${name}: expected wgsl without @group and @binding, which are declared by \`bindings\``);
  for (const own of Object.keys(bindings)) {
    if (!/^[a-zA-Z]\w*$/.test(own) || own === 'p')
      throw new Error(`${name}: expected names of WGSL other than p as bindings, got ${own}`);
    if (!mentions(code, own)) throw new Error(`${name}: the wgsl never uses the binding ${own}; leave it out`);
  }
  const fields = Object.entries(params).map(([field, type]) => `${field}: ${type}`);
  const head = fields.length > 0 ? [`struct Params { ${fields.join(', ')} }`] : [];
  if (fields.length > 0) {
    if (!mentions(code, 'p')) throw new Error(`${name}: the wgsl never uses p, which holds the params`);
    head.push('@group(0) @binding(0) var<uniform> p: Params;');
  }
  Object.entries(bindings).forEach(([own, how], i) => {
    const [use, element] = how.split(' ');
    const access = use === 'write' ? 'read_write' : 'read';
    head.push(`@group(0) @binding(${i + 1}) var<storage, ${access}> ${own}: array<${element}>;`);
  });
  // The layout that WebGPU derives leaves out what main does not reach.
  const uses = [...(fields.length > 0 ? ['p'] : []), ...Object.keys(bindings)].map((own) => ` _ = &${own};`).join('');
  return `${head.join('\n')}\n${wgsl.replace(/\bfn\s+main\b[^{]*\{/, `$&${uses}`)}\n`;
}

/**
 * A kernel from its text. It is compiled when it first runs; text that does not compile fails the device, with the compiler's
 * message.
 * @throws Error for text without `fn main`, with declarations of its own, or that leaves a binding unused
 */
export function customKernel(device: Device, spec: KernelSpec): CustomKernel {
  const { name, bindings, params: fields = {}, reference } = spec;
  const folds = /^\/\/ @use [^\n]*\bgroup_index\b/m.test(spec.wgsl);
  const grid = (params: Params): number | Grid => {
    const wanted = spec.grid(params);
    if (typeof wanted === 'number' && wanted > MAX_GRID && !folds)
      throw new Error(
        `${name}: a grid of ${wanted} workgroups is folded into two dimensions; number them by group_index(), with // @use group_index`,
      );
    return wanted;
  };
  const own: Kernel = kernel(`custom/${name}`, [{ file: addSource(name, withHeader(spec)), grid }]);
  const missing: Reference = () => {
    throw new Error(`${name}: has no reference, which the ${device.backend} device runs in place of WGSL; give it one`);
  };
  return {
    run(tensors, params = {}) {
      for (const [binding, how] of Object.entries(bindings)) {
        const t = tensors[binding];
        if (!t) throw new Error(`${name}: expected a tensor ${binding}, got none`);
        expectType(name, binding, t, /u(32)?$/.test(how) ? 'u32' : 'f32');
        if (/vec4/.test(how) && t.size % 4 !== 0)
          throw new Error(`${name}: expected ${binding} with a multiple of 4 elements, got ${showShape(t.shape)}`);
      }
      const field = Object.keys(fields).find((known) => typeof params[known] !== 'number');
      if (field !== undefined)
        throw new Error(`${name}: expected a number as the parameter ${field}, got ${params[field]}`);
      for (const [binding, how] of Object.entries(bindings))
        if (how.startsWith('write')) device.inPlace(name, tensors[binding]);
      device.run(own, reference ?? missing, tensors, params);
    },
  };
}
