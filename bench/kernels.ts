/** Times each kernel against the CPU reference in one run (tinybench), in GFLOP/s and GB/s. */
import { Bench } from 'tinybench';
import { Device } from '../engine/index.ts';
import { type BenchCase, benchCases } from './cases.ts';

export interface KernelRow {
  case: string;
  /** Median, milliseconds. */
  ms: number;
  gflops: number;
  gbs: number;
  /** The reference's median, scaled up to the same work. */
  referenceMs: number;
  /** referenceMs / ms. */
  speedup: number;
}

/** Runs the cases whose name contains `filter`; `onRow` hears of each as it is done. */
export async function benchKernels(
  device: Device,
  options: { filter?: string; onRow?(row: KernelRow): void } = {},
): Promise<KernelRow[]> {
  const cpu = await Device.open({ backend: 'cpu' });
  const rows: KernelRow[] = [];
  for (const c of benchCases.filter((x) => x.name.includes(options.filter ?? ''))) {
    const row = await benchOne(c, device, cpu);
    rows.push(row);
    options.onRow?.(row);
  }
  return rows;
}

async function benchOne(c: BenchCase, device: Device, cpu: Device): Promise<KernelRow> {
  const tensors = c.make(device);
  const step = device.program(c.name, () => {
    c.run(tensors, device);
    return {};
  });
  step.run();
  await device.settle();
  const started = performance.now();
  step.run();
  await device.settle();
  // Enough runs between two waits that the wait itself does not count.
  const once = performance.now() - started;
  const repeat = Math.max(1, Math.min(64, Math.round(40 / once)));
  const reference = c.reference(cpu);
  const bench = new Bench({ time: 400, iterations: 5, warmupTime: 50, warmupIterations: 1, throws: true });
  bench.add('device', async () => {
    for (let i = 0; i < repeat; i++) step.run();
    await device.settle();
  });
  bench.add('reference', () => cpu.scope(() => c.run(reference.tensors, cpu)));
  await bench.run();
  const [ours, theirs] = bench.tasks.map(median);
  for (const t of [...Object.values(tensors), ...Object.values(reference.tensors)]) t.dispose();
  step.dispose();
  const ms = ours / repeat;
  const referenceMs = theirs / reference.share;
  return {
    case: c.name,
    ms,
    gflops: c.flop / ms / 1e6,
    gbs: c.bytes / ms / 1e6,
    referenceMs,
    speedup: referenceMs / ms,
  };
}

function median(task: Bench['tasks'][number]): number {
  const result = task.result as { latency?: { p50: number }; error?: unknown };
  if (!result.latency) throw result.error ?? new Error(`bench: ${task.name} gave no result`);
  return result.latency.p50;
}
