/** How a device is opened, and what it tells of itself. */
import type { TuningStore } from './tuning/tuner.ts';
import type { GpuStats } from './webgpu/webgpu.ts';

export interface DeviceOptions {
  /**
   * `auto` takes WebGPU where an adapter is found, else WebAssembly (and says so through `onFallback`). `wasm` is one thread
   * of SIMD, made for recommending: it starts at once, and training on it is slow. `cpu` runs the references.
   */
  backend?: 'auto' | 'webgpu' | 'wasm' | 'cpu';
  /** Storage of the CPU device; `f64` is for gradient checks. */
  precision?: 'f32' | 'f64';
  /** Options of Dawn's instance (Node only). */
  dawn?: string[];
  /**
   * `adapter` asks for all that the adapter offers. `default` asks for WebGPU's guaranteed limits (8 storage buffers a
   * stage, 256 invocations and 16 KiB a workgroup, bindings of 128 MiB) and no optional feature: what any browser gives.
   */
  limits?: 'adapter' | 'default';
  /** For tests: memory is handed out full of NaN bits, so that whatever reads what nothing wrote is found out. */
  poison?: boolean;
  /** Largest binding to make where the adapter would allow more; tables beyond it lie in shards (for tests). */
  maxBindingBytes?: number;
  /** Choices of kernels that were measured for this adapter, and what runs the shaders (part of their name). */
  tuning?: { store: TuningStore; runtime: string };
  /** Called once if `auto` found no adapter; the default writes one line to the console's error stream. */
  onFallback?(message: string): void;
}

/** `mixed`: products take their operands in f16 and add in f32; everything else is f32. */
export type Precision = 'f32' | 'mixed';

export interface DeviceStats extends GpuStats {
  /** Devices of the host have no buffers; the CPU device counts no bytes either. */
  backend: 'webgpu' | 'wasm' | 'cpu';
}
