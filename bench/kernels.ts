/** Times each kernel against the CPU reference in one run (tinybench): GFLOP/s, GB/s, fraction of the roofline. */
import { Bench } from 'tinybench';
import { Device } from '../engine/index.ts';
import { type BenchCase, Stock } from './case.ts';
import { benchCases } from './cases.ts';
import { pace } from './pace.ts';
import { fractionOf, measureRoofline, type Roofline } from './roofline.ts';

export interface KernelRow {
  case: string;
  /** Rows (or elements) that were run. */
  size: number;
  /** Median, milliseconds. */
  ms: number;
  gflops: number;
  gbs: number;
  /** The time at the roofline over the time taken; whichever of arithmetic and memory binds. */
  fraction: number;
  /** The reference's median, scaled up to the same work. */
  referenceMs: number;
  /** referenceMs / ms. */
  speedup: number;
}

export interface KernelBench {
  roofline: Roofline;
  rows: KernelRow[];
}

export interface KernelBenchOptions {
  /** The bench's own if absent. */
  cases?: readonly BenchCase[];
  /** Only cases with this in their name. */
  filter?: string;
  /** Divides the rows of every case. */
  scale?: number;
  /** What was measured in this run already, if it was. */
  roofline?: Roofline;
  /** Hears of each case as it is done. */
  onCase?(name: string): void;
}

export async function benchKernels(device: Device, options: KernelBenchOptions = {}): Promise<KernelBench> {
  const { cases = benchCases, filter = '', scale = 1, onCase } = options;
  const cpu = await Device.open({ backend: 'cpu' });
  const before = options.roofline ?? (await measureRoofline(device, scale));
  const timed: { c: BenchCase; row: Omit<KernelRow, 'fraction'> }[] = [];
  for (const c of cases.filter((x) => x.name.includes(filter))) {
    timed.push({ c, row: await benchOne(c, Math.ceil(c.sizes[0] / scale), device, cpu) });
    onCase?.(c.name);
  }
  const roofline = options.roofline ?? (await measureRoofline(device, scale, before));
  const rows = timed.map(({ c, row }) => {
    const work = { flop: c.flop(row.size), bytes: c.bytes(row.size) };
    return { ...row, fraction: fractionOf(roofline, work, row.ms) };
  });
  return { roofline, rows };
}

async function benchOne(c: BenchCase, size: number, device: Device, cpu: Device): Promise<Omit<KernelRow, 'fraction'>> {
  const stock = new Stock(device);
  const paced = await pace(device, c.name, c.make(stock, size));
  const referenceSize = Math.min(size, c.sizes[1]);
  const referenceStock = new Stock(cpu);
  const runReference = c.make(referenceStock, referenceSize);
  const bench = new Bench({ time: 400, iterations: 5, warmupTime: 50, warmupIterations: 1, throws: true });
  bench.add('device', () => paced.sample());
  bench.add('reference', () => cpu.scope(runReference));
  await bench.run();
  const [ours, theirs] = bench.tasks.map(median);
  paced.dispose();
  stock.dispose();
  referenceStock.dispose();
  const ms = ours / paced.runs;
  const referenceMs = theirs * (size / referenceSize);
  return {
    case: c.name,
    size,
    ms,
    gflops: c.flop(size) / ms / 1e6,
    gbs: c.bytes(size) / ms / 1e6,
    referenceMs,
    speedup: referenceMs / ms,
  };
}

function median(task: Bench['tasks'][number]): number {
  const result = task.result as { latency?: { p50: number }; error?: unknown };
  if (!result.latency) throw result.error ?? new Error(`bench: ${task.name} gave no result`);
  return result.latency.p50;
}
