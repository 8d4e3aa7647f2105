/**
 * The entry to WebGPU: `navigator.gpu` in a browser, Dawn (npm `webgpu`) in Node.
 *
 * Dawn's instance must never become unreachable while a device lives (the process would die on garbage
 * collection), so the one instance is pinned on `globalThis` for the life of the process.
 */
import type { GPU, GPUAdapterInfo, GPUDevice } from './gpu-types.ts';
import type { Capabilities, MatrixSize } from '../kernel.ts';

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

/** Dawn's name of the feature; behind the toggle allow_unsafe_apis. */
export const SUBGROUP_MATRIX = 'chromium-experimental-subgroup-matrix';

const WANTED = ['subgroups', 'shader-f16', 'timestamp-query', SUBGROUP_MATRIX] as GPUFeatureName[];

/** A device of the best adapter with all that it offers, or with WebGPU's default limits; null where there is none. */
export async function requestDevice(
  dawn: string[] | undefined,
  limits: 'adapter' | 'default',
): Promise<{ device: GPUDevice; info: GPUAdapterInfo } | null> {
  const gpu = await getGpu(dawn);
  const adapter = await gpu?.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) return null;
  if (limits === 'default') return { device: await adapter.requestDevice({ label: 'attune' }), info: adapter.info };
  const requiredLimits: Record<string, number> = {};
  for (const name of [
    'maxBufferSize',
    'maxStorageBufferBindingSize',
    'maxStorageBuffersPerShaderStage',
    'maxComputeWorkgroupStorageSize',
    'maxComputeInvocationsPerWorkgroup',
    'maxComputeWorkgroupSizeX',
  ] as const) {
    requiredLimits[name] = adapter.limits[name];
  }
  const device = await adapter.requestDevice({
    label: 'attune',
    requiredFeatures: WANTED.filter((f) => adapter.features.has(f)),
    requiredLimits,
  });
  return { device, info: adapter.info };
}

/** What the adapter can do, as far as a variant of a kernel may ask. */
export function capabilitiesOf(gpu: GPUDevice, info: GPUAdapterInfo): Capabilities {
  const l = gpu.limits;
  const sub = info as GPUAdapterInfo & { subgroupMinSize?: number; subgroupMaxSize?: number };
  return {
    subgroups: gpu.features.has('subgroups' as GPUFeatureName),
    subgroupMin: sub.subgroupMinSize ?? 0,
    subgroupMax: sub.subgroupMaxSize ?? 0,
    f16: gpu.features.has('shader-f16'),
    matrices: gpu.features.has(SUBGROUP_MATRIX as GPUFeatureName) ? mixedMatrices(info) : [],
    timestamps: gpu.features.has('timestamp-query'),
    maxInvocations: l.maxComputeInvocationsPerWorkgroup,
    maxWorkgroupBytes: l.maxComputeWorkgroupStorageSize,
    maxBindingBytes: l.maxStorageBufferBindingSize,
    maxBufferBytes: l.maxBufferSize,
  };
}

/** What an adapter says of its subgroup matrices (Dawn's docs/dawn/features/subgroup_matrix.md). */
interface MatrixConfig {
  componentType: string;
  resultComponentType: string;
  M: number;
  N: number;
  K: number;
}

/** All configurations, in words: `f16 → f32 16 × 16 × 16`. */
export function matrixConfigs(info: GPUAdapterInfo): string[] {
  return configsOf(info).map((c) => `${c.componentType} → ${c.resultComponentType} ${c.M} × ${c.N} × ${c.K}`);
}

const configsOf = (info: GPUAdapterInfo): readonly MatrixConfig[] =>
  (info as GPUAdapterInfo & { subgroupMatrixConfigs?: readonly MatrixConfig[] }).subgroupMatrixConfigs ?? [];

const mixedMatrices = (info: GPUAdapterInfo): MatrixSize[] =>
  configsOf(info)
    .filter((c) => c.componentType === 'f16' && c.resultComponentType === 'f32')
    .map(({ M, N, K }) => ({ m: M, n: N, k: K }));
