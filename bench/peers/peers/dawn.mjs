/** WebGPU for libraries made for browsers: the very Dawn that Attune uses, as `navigator.gpu`. */
import { create, globals } from 'webgpu';

/** Sleeps, since a pending promise makes Dawn poll and eat a core. */
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let nap = 0;
/** The first WebGPU error of any device: what ran after it is not to be timed. */
let failure = null;

/**
 * Sets up `navigator.gpu` and gives the adapter's name. Waits for the GPU (a mapped buffer, submitted work) first
 * sleep for most of what is expected, as Attune's do: else these libraries would lose half of a two-core machine to
 * polling, which is not theirs but this binding's.
 */
export async function openDawn() {
  Object.assign(globalThis, globals);
  const gpu = create([]);
  globalThis.attuneBenchDawn = gpu; // an unreachable instance takes the process down
  Object.defineProperty(globalThis, 'navigator', { value: { gpu, userAgent: 'node' }, configurable: true });
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new Error('no WebGPU adapter was found');
  for (const [type, method] of [
    [globals.GPUBuffer, 'mapAsync'],
    [globals.GPUQueue, 'onSubmittedWorkDone'],
  ]) {
    const original = type.prototype[method];
    type.prototype[method] = async function (...args) {
      if (nap > 4) await sleep(nap);
      return original.apply(this, args);
    };
  }
  const { requestDevice } = globals.GPUAdapter.prototype;
  globals.GPUAdapter.prototype.requestDevice = async function (...args) {
    const device = await requestDevice.apply(this, args);
    device.addEventListener('uncapturederror', ({ error }) => {
      failure ??= error.message;
    });
    return device;
  };
  return adapter.info.description || adapter.info.device || adapter.info.vendor;
}

/**
 * Runs a wait that is expected to last so many milliseconds, and gives how many were slept.
 * @throws Error where WebGPU reported an error
 */
export async function napping(expected, wait) {
  nap = 0.92 * expected;
  try {
    await wait();
    if (failure) throw new Error(failure);
    return nap > 4 ? nap : 0;
  } finally {
    nap = 0;
  }
}
