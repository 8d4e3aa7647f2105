/** What the adapter can do at best: a copy of memory and chains of multiply-adds, measured at the start of each bench. */
import {
  type Device,
  groups,
  type Kernel,
  kernel,
  type Params,
  type Reference,
  type Variant,
} from '../engine/index.ts';
import { texts } from '../kernels/bench/texts.ts';
import { pace } from './pace.ts';

export interface Roofline {
  /** f32 arithmetic, a multiply-add counted as two. */
  gflops: number;
  /** Bytes read and written by a copy of 64 MiB or of 2 MiB, which a CPU's cache holds: the faster of the two. */
  gbs: number;
}

const COPY = kernel('bench_copy', (p) => groups(p.n, 4096), undefined, texts);
/** Software adapters like small workgroups, GPUs large ones: the better of the two counts. */
const FMA: readonly Kernel[] = [8, 256].map((threads) => {
  const variant: Variant = {
    file: 'bench_fma',
    grid: (p) => groups(p.n, 4 * threads),
    constants: () => ({ WG: threads }),
  };
  return kernel(`bench_fma_${threads}`, [variant], undefined, texts);
});
const FLOP_A_ROUND = 8 * 3 * 2;

const onGpuOnly: Reference = () => {
  throw new Error('roofline: it is measured on WebGPU only');
};

/**
 * Best of several runs, and never less than `before`, what was measured earlier: a software adapter shares its cores with
 * whatever else runs. `scale` divides the work.
 */
export async function measureRoofline(device: Device, scale = 1, before?: Roofline): Promise<Roofline> {
  let copy = 0;
  for (const n of [2 ** 24, 2 ** 19]) {
    const copied = Math.max(1, Math.floor(n / scale / 4096)) * 4096;
    copy = Math.max(copy, await best(device, copied, [COPY], { n: copied }, 8 * copied));
  }
  // A GPU needs a hundred thousand threads; enough rounds that a software adapter takes about 30 ms.
  const n = 4 * Math.ceil(2 ** 17 / scale);
  const probe = { n, rounds: 16 };
  const rate = await best(device, n, FMA, probe, n * probe.rounds * FLOP_A_ROUND, 2);
  const rounds = Math.ceil(Math.min(65536, Math.max(16, (0.03 * rate) / (n * FLOP_A_ROUND))));
  const fma = await best(device, n, FMA, { n, rounds }, n * rounds * FLOP_A_ROUND);
  return {
    gflops: Math.max(rate / 1e9, fma / 1e9, before?.gflops ?? 0),
    gbs: Math.max(copy / 1e9, before?.gbs ?? 0),
  };
}

const SAMPLE_MS = 20;

/** The highest rate, in units of `amount` a second, over some samples of each kernel. */
async function best(
  device: Device,
  n: number,
  kernels: readonly Kernel[],
  params: Params,
  amount: number,
  samples = 5,
): Promise<number> {
  const x = device.tensor(Float32Array.from({ length: n }, (_, i) => Math.sin(i)));
  const y = device.empty([n]);
  let rate = 0;
  for (const k of kernels) {
    const paced = await pace(device, k.name, () => device.run(k, onGpuOnly, { x, y }, params), SAMPLE_MS);
    for (let i = 0; i < samples; i++) {
      const started = performance.now();
      await paced.sample();
      rate = Math.max(rate, (paced.runs * amount * 1000) / (performance.now() - started));
    }
    paced.dispose();
  }
  x.dispose();
  y.dispose();
  return rate;
}

/** The part of what the adapter could do, in [0, 1]: the time at the roofline over the time taken. */
export function fractionOf(roof: Roofline, work: { flop: number; bytes: number }, ms: number): number {
  return Math.max(work.flop / roof.gflops, work.bytes / roof.gbs) / 1e6 / ms;
}
