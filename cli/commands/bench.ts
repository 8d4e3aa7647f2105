/** `attune bench`: runs the cases of bench/ and prints what they measured. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchFlags } from './bench.flags.ts';
import type { GenerateBench } from '../../bench/generate.ts';
import type { KernelBench } from '../../bench/kernels.ts';
import type { Roofline } from '../../bench/roofline.ts';
import { kernelsTable, rooflineLine } from '../../bench/table.ts';
import type { StepBench } from '../../bench/step.ts';
import type { Device } from '../../engine/index.ts';
import { openDevice, Output } from '../common.ts';
import { UsageError } from '../errors.ts';
import { createProgress, formatCount, formatDuration, table } from '../output/ui.ts';

/** The case that is run alone and by its whole name, since the device must be opened on an empty cache of shaders. */
const COMPILE = 'compile';

export async function runBench(flags: BenchFlags): Promise<void> {
  const out = new Output(flags.json);
  if (flags.case === COMPILE) return compile(flags, out);
  const { benchCases } = await import('../../bench/cases.ts');
  const wanted = flags.case ?? '';
  const chosen = benchCases.filter(({ name }) => name.includes(wanted));
  const withStep = 'step'.includes(wanted);
  const withGenerate = 'generate'.includes(wanted);
  if (chosen.length === 0 && !withStep && !withGenerate) {
    const names = [COMPILE, 'step', 'generate', ...benchCases.map(({ name }) => name)];
    throw new UsageError(`--case ${wanted}: unknown; there is ${names.join(', ')}`);
  }
  const device = await openDevice(flags.device, out);
  try {
    const result: {
      device: string;
      step?: StepBench;
      generate?: GenerateBench[];
      roofline?: Roofline;
      kernels?: KernelBench['rows'];
    } = { device: device.name };
    if (withStep) result.step = await step(device, flags, out);
    if (withGenerate) result.generate = await generate(device, out);
    if (chosen.length > 0 && !device.gpu) out.warn('kernels are timed against the CPU device: not on it');
    else if (chosen.length > 0) {
      const { roofline, rows } = await kernels(device, wanted, chosen.length, out);
      Object.assign(result, { roofline, kernels: rows });
    }
    out.object(result);
  } finally {
    device.close();
  }
}

/** Compiles the kernels of a first training step, with nothing in the cache of Mesa's drivers; others keep theirs. */
async function compile(flags: BenchFlags, out: Output): Promise<void> {
  const cache = mkdtempSync(join(tmpdir(), 'attune-shaders-'));
  process.once('exit', () => rmSync(cache, { recursive: true, force: true }));
  process.env.MESA_SHADER_CACHE_DIR = cache;
  const device = await openDevice(flags.device, out);
  const bar = createProgress({ total: 1 });
  try {
    const { benchCompile } = await import('../../bench/step.ts');
    const r = await benchCompile(device, flags.recipe ?? 'sasrec', (done, total) => {
      bar.setTotal(total);
      bar.update(done, { phase: 'compiling the kernels' });
    });
    bar.stop();
    const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
    out.line(
      `${r.kernels} kernels of a first ${flags.recipe ?? 'sasrec'} step on ${r.device}, compiled in ${seconds(r.compileMilliseconds)}; the step after that took ${seconds(r.firstStepMilliseconds)}`,
    );
    out.object({ device: r.device, compile: r });
  } finally {
    bar.stop();
    device.close();
  }
}

async function kernels(device: Device, filter: string, count: number, out: Output): Promise<KernelBench> {
  const { benchKernels } = await import('../../bench/kernels.ts');
  const bar = createProgress({ total: count });
  let done = 0;
  try {
    const result = await benchKernels(device, {
      filter,
      onCase: (name) => bar.update(++done, { phase: name }),
    });
    bar.stop();
    out.line(`\nkernels on ${device.name}, against the CPU reference in this run`);
    out.line(kernelsTable(result));
    return result;
  } finally {
    bar.stop();
  }
}

async function step(device: Device, flags: BenchFlags, out: Output): Promise<StepBench> {
  const { benchStep } = await import('../../bench/step.ts');
  const r = await benchStep(device, { recipe: flags.recipe, profile: flags.profile });
  const s = r.settings;
  out.line(`training step on ${r.device}`);
  out.line(
    `${flags.recipe ?? 'sasrec'}, d ${s.d}, ff ${s.ff}, ${s.blocks} blocks, ${formatCount(s.budget)} tokens a batch, ${formatCount(r.items)} items, ${r.steps} steps\n`,
  );
  const rows: [string, string][] = [
    ['tokens a second', formatCount(Math.round(r.tokensPerSecond))],
    ['a step', `${r.millisecondsPerStep.toFixed(1)} ms`],
    ['the first step, with compiling', formatDuration((r.compileMilliseconds + r.firstStepMilliseconds) / 1000)],
    ['dispatches a step', formatCount(r.dispatches)],
  ];
  if (r.microsecondsPerDispatch !== null && r.microsecondsPerDispatchSubmitted !== null) {
    rows.push(
      ['submits a step', formatCount(r.submits)],
      ['JavaScript a dispatch', `${r.microsecondsPerDispatch.toFixed(1)} µs`],
      ["… with the driver's submit", `${r.microsecondsPerDispatchSubmitted.toFixed(1)} µs`],
    );
  }
  out.line(table(['', ''], rows).replace(/^\s*\n/, ''));
  if (r.profile) out.line(`\n${profileTable(r.profile)}`);
  else if (flags.profile) out.warn('--profile: this device has no timestamps');
  return r;
}

async function generate(device: Device, out: Output): Promise<GenerateBench[]> {
  const { benchGenerate } = await import('../../bench/generate.ts');
  const results = await benchGenerate(device);
  const ms = (n: number): string => n.toFixed(1);
  const rows = results.map(({ recipe, rows: count, history, read, steps, ratio, whole }) => [
    ...[recipe, count, history, ms(read), ms(steps[0]), ms(steps[steps.length - 1]), ratio.toFixed(2), ms(whole)],
  ]);
  out.line(`\ncontinuing histories on ${device.name}, ${formatCount(results[0].items)} items, milliseconds`);
  const head = ['recipe', 'histories', 'of', 'read once', 'step 1', 'step 10', 'ratio', 'a step without a cache'];
  out.line(table(head, rows));
  return results;
}

function profileTable({ roofline, kernels }: NonNullable<StepBench['profile']>): string {
  const total = kernels.reduce((sum, { ms }) => sum + ms, 0);
  const percent = (x: number): string => `${(100 * x).toFixed(1)}%`;
  const rows = kernels.map((k) => [
    ...[k.label, k.calls, k.ms.toFixed(2), percent(k.share), k.flop > 0 ? k.gflops.toFixed(2) : '', k.gbs.toFixed(2)],
    percent(k.fraction),
  ]);
  const flop = kernels.reduce((sum, k) => sum + k.flop, 0);
  const calls = kernels.reduce((n, k) => n + k.calls, 0);
  rows.push(['all', calls, total.toFixed(2), '100.0%', (flop / total / 1e6).toFixed(2), '', '']);
  return [
    table(['kernel', 'calls', 'ms', 'share', 'GFLOP/s', 'GB/s', 'of roofline'], rows),
    `${rooflineLine(roofline)}; bytes are those bound, each counted once`,
  ].join('\n');
}
