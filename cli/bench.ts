/** `attune bench`: runs the cases of bench/ and prints what they measured. */
import type { KernelRow } from '../bench/kernels.ts';
import type { StepBench } from '../bench/step.ts';
import type { Device } from '../engine/index.ts';
import { type Backend, openDevice, Output } from './common.ts';
import { UsageError } from './errors.ts';
import { createProgress, formatCount, formatDuration, table } from './ui.ts';

export interface BenchFlags {
  case?: string;
  profile?: boolean;
  device: Backend;
  json?: boolean;
}

export async function runBench(flags: BenchFlags): Promise<void> {
  const out = new Output(flags.json);
  const { benchCases } = await import('../bench/cases.ts');
  const wanted = flags.case ?? '';
  const chosen = benchCases.filter(({ name }) => name.includes(wanted));
  const withStep = 'step'.includes(wanted);
  if (chosen.length === 0 && !withStep) {
    const names = ['step', ...benchCases.map(({ name }) => name)];
    throw new UsageError(`--case ${wanted}: unknown; there is ${names.join(', ')}`);
  }
  const device = await openDevice(flags.device, out);
  try {
    const result: { device: string; step?: StepBench; kernels?: KernelRow[] } = { device: device.name };
    if (withStep) result.step = await step(device, flags, out);
    if (chosen.length > 0 && device.backend === 'cpu') out.warn('kernels are timed against the CPU device: not on it');
    else if (chosen.length > 0) result.kernels = await kernels(device, wanted, chosen.length, out);
    out.object(result);
  } finally {
    device.close();
  }
}

async function kernels(device: Device, filter: string, count: number, out: Output): Promise<KernelRow[]> {
  const { benchKernels } = await import('../bench/kernels.ts');
  const bar = createProgress({ total: count });
  let done = 0;
  try {
    const rows = await benchKernels(device, { filter, onRow: ({ case: name }) => bar.update(++done, { phase: name }) });
    bar.stop();
    out.line(`\nkernels on ${device.name}, against the CPU reference in this run`);
    const cells = rows.map((r) => [
      ...[r.case, r.ms.toFixed(3), r.gflops.toFixed(2), r.gbs.toFixed(2)],
      ...[r.referenceMs.toFixed(1), r.speedup.toFixed(1)],
    ]);
    out.line(table(['', 'ms', 'GFLOP/s', 'GB/s', 'reference ms', 'times faster'], cells));
    return rows;
  } finally {
    bar.stop();
  }
}

async function step(device: Device, flags: BenchFlags, out: Output): Promise<StepBench> {
  const { benchStep } = await import('../bench/step.ts');
  const r = await benchStep(device, { profile: flags.profile });
  const s = r.settings;
  out.line(`training step on ${r.device}`);
  out.line(
    `sasrec, d ${s.d}, ff ${s.ff}, ${s.blocks} blocks, ${formatCount(s.budget)} tokens a batch, ${formatCount(r.items)} items, ${r.steps} steps\n`,
  );
  const rows: [string, string][] = [
    ['tokens a second', formatCount(Math.round(r.tokensPerSecond))],
    ['a step', `${r.millisecondsPerStep.toFixed(1)} ms`],
    ['the first step, with compiling', formatDuration(r.firstStepMilliseconds / 1000)],
    ['dispatches a step', formatCount(r.dispatches)],
  ];
  if (r.microsecondsPerDispatch !== null) {
    rows.push(
      ['submits a step', formatCount(r.submits)],
      ['JavaScript a dispatch', `${r.microsecondsPerDispatch.toFixed(1)} µs`],
    );
  }
  out.line(table(['', ''], rows).replace(/^\s*\n/, ''));
  if (r.kernels) out.line(`\n${kernelTable(r.kernels)}`);
  else if (flags.profile) out.warn('--profile: this device has no timestamps');
  return r;
}

function kernelTable(kernels: NonNullable<StepBench['kernels']>): string {
  const total = kernels.reduce((sum, { ms }) => sum + ms, 0);
  const rows = kernels.map(({ label, calls, ms }) => [
    label,
    calls,
    ms.toFixed(2),
    `${((100 * ms) / total).toFixed(1)}%`,
  ]);
  return table(
    ['kernel', 'calls', 'ms', 'share'],
    [...rows, ['all', kernels.reduce((n, k) => n + k.calls, 0), total.toFixed(2), '100.0%']],
  );
}
