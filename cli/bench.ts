/** `attune bench`: runs the cases of bench/ and prints what they measured. */
import type { StepBench } from '../bench/step.ts';
import type { Device } from '../engine/index.ts';
import { type Backend, openDevice, Output } from './common.ts';
import { UsageError } from './errors.ts';
import { formatCount, formatDuration, table } from './ui.ts';

export interface BenchFlags {
  case?: string;
  profile?: boolean;
  device: Backend;
  json?: boolean;
}

/** A case measures and gives its figures for `--json`, and prints them for people. */
type Case = (device: Device, flags: BenchFlags, out: Output) => Promise<unknown>;

const cases: ReadonlyMap<string, Case> = new Map([['step', step]]);

export async function runBench(flags: BenchFlags): Promise<void> {
  const out = new Output(flags.json);
  const names = flags.case === undefined ? [...cases.keys()] : [flags.case];
  const unknown = names.find((name) => !cases.has(name));
  if (unknown !== undefined)
    throw new UsageError(`--case ${unknown}: unknown; there is ${[...cases.keys()].join(', ')}`);
  const device = await openDevice(flags.device, out);
  try {
    const results: Record<string, unknown> = {};
    for (const name of names) results[name] = await cases.get(name)?.(device, flags, out);
    out.object({ device: device.name, cases: results });
  } finally {
    device.close();
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
