/**
 * The entry to WebGPU: `navigator.gpu` in a browser, Dawn (npm `webgpu`) in Node.
 *
 * Dawn's instance must never become unreachable while a device lives (the process would die on garbage
 * collection), so the one instance is pinned on `globalThis` for the life of the process.
 */
import type { GPU } from './gpu-types.ts';

const KEY = Symbol.for('attune.dawn');

/** Toggles: exact timestamps; f16 on NVIDIA's Vulkan driver, which Dawn leaves off; subgroup matrices. */
const DAWN_OPTIONS = [
  'disable-dawn-features=timestamp_quantization',
  'enable-dawn-features=vulkan_enable_f16_on_nvidia,allow_unsafe_apis',
];

/** Whether this is Node, whose WebGPU is a package. Deno, which names Node's version too, has its own. */
export function isNode(): boolean {
  return typeof process !== 'undefined' && Boolean(process.versions?.node) && !('Deno' in globalThis);
}

/**
 * The `GPU` object of this JavaScript runtime, or undefined where there is none.
 *
 * @param options Dawn options (Node only), e.g. `['backend=null']`; a call with options makes an instance of its own.
 */
export async function getGpu(options?: string[]): Promise<GPU | undefined> {
  if (!isNode()) return globalThis.navigator?.gpu;
  const pinned = globalThis as unknown as Record<symbol, Map<string, GPU>>;
  pinned[KEY] ??= new Map();
  const key = (options ?? DAWN_OPTIONS).join(' ');
  const known = pinned[KEY].get(key);
  if (known) return known;
  const name = 'webgpu'; // a variable, so that bundlers for the browser leave it alone
  let dawn: { create(options: string[]): GPU; globals: object };
  try {
    dawn = await import(/* @vite-ignore */ name);
  } catch {
    return undefined;
  }
  for (const [k, v] of Object.entries(dawn.globals)) {
    if (!(k in globalThis)) Object.defineProperty(globalThis, k, { value: v, configurable: true, writable: true });
  }
  const gpu = dawn.create(options ?? DAWN_OPTIONS);
  pinned[KEY].set(key, gpu);
  return gpu;
}
