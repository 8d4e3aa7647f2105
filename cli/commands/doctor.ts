/** `attune doctor`: the adapter, what it can do, which kernel variants run on it, and how to get what is missing. */
import type { DoctorFlags } from './doctor.flags.ts';
import { prepare } from '../../data/dataset.ts';
import { makeShop } from '../../data/demo-shop/shop.ts';
import { splitDataset } from '../../data/splits/split.ts';
import { Device, matrixConfigs } from '../../engine/index.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import { train } from '../../train/loop/trainer.ts';
import { OpenDeviceError, Output, versionOf } from '../common.ts';
import { createProgress, formatBytes, formatCount, table } from '../output/ui.ts';

/** What scripts/system.mjs knows of this machine: it is plain JavaScript outside dist/, since set-up runs before the build. */
interface SystemModule {
  findChromium(): string | undefined;
  readDistribution(): { name: string };
  planInstall(missing: { driver?: boolean; chromium?: boolean }): { command: string };
}

interface Missing {
  what: string;
  /** What works without it. */
  effect: string;
  command: string;
}

interface Report {
  attune: string;
  node: string;
  webgpu: string;
  platform: string;
  backend: 'webgpu' | 'wasm' | 'cpu';
  adapter: { description: string; vendor: string; architecture: string; device: string } | null;
  features: Record<string, boolean | string> | null;
  limits: Record<string, number> | null;
  /** Kernel → variants that ran, by the shapes; null on the CPU. */
  variants: Record<string, string[]> | null;
  missing: Missing[];
}

const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupsPerDimension',
  'maxStorageBuffersPerShaderStage',
] as const;

export async function runDoctor(flags: DoctorFlags): Promise<void> {
  const out = new Output(flags.json);
  const system = await loadSystem();
  const device = await openQuietly();
  try {
    const report = describe(device, system);
    print(report, out);
    if (device.gpu) {
      report.variants = await tryOut(device);
      out.line('\nA training step and a ranking ran on it with these kernels (kernel, variants by shape):');
      out.line(
        table(
          ['', ''],
          Object.entries(report.variants).map(([kernel, files]) => [kernel, files.join(', ')]),
        ).replace(/^\s*\n/, ''),
      );
    }
    out.line(report.missing.length === 0 ? '\nNothing is missing.' : '\nMissing:');
    for (const { what, effect, command } of report.missing)
      out.line(`  ${what}: ${effect}. To get it:\n    ${command.replace(/^: /, '')}`);
    out.object(report);
  } finally {
    device.close();
  }
}

async function loadSystem(): Promise<SystemModule | null> {
  const path = import.meta.url.endsWith('.ts') ? '../../scripts/system.mjs' : '../../../scripts/system.mjs';
  try {
    return (await import(new URL(path, import.meta.url).href)) as SystemModule;
  } catch {
    return null;
  }
}

/** No adapter is a finding here, not a warning. */
async function openQuietly(): Promise<Device> {
  try {
    return await Device.open({ backend: 'auto', onFallback: () => {} });
  } catch (error) {
    throw new OpenDeviceError(`device: the adapter was found but could not be opened: ${(error as Error).message}`);
  }
}

function describe(device: Device, system: SystemModule | null): Report {
  const { gpu, caps } = device;
  const missing: Missing[] = [];
  const command = (what: { driver?: boolean; chromium?: boolean }) =>
    system?.planInstall(what).command ?? 'install a graphics driver with Vulkan, such as Mesa 25 or later';
  if (!gpu) {
    const effect = 'everything runs on the CPU device, which is slow';
    missing.push({ what: 'a WebGPU adapter', effect, command: command({ driver: true }) });
  }
  if (system && !system.findChromium()) {
    const effect = 'npm test cannot run its browser part, unless Playwright has its own';
    missing.push({ what: 'Chromium', effect, command: command({ chromium: true }) });
  }
  const lanes = caps?.subgroups ? `${caps.subgroupMin} to ${caps.subgroupMax} lanes` : false;
  return {
    attune: versionOf(),
    node: process.versions.node,
    webgpu: versionOf('webgpu'),
    platform: `${process.platform} ${process.arch}, ${system?.readDistribution().name ?? process.platform}`,
    backend: device.backend,
    adapter: gpu && {
      description: gpu.info.description,
      vendor: gpu.info.vendor,
      architecture: gpu.info.architecture,
      device: gpu.info.device,
    },
    features: caps && {
      subgroups: lanes,
      'shader-f16': caps.f16,
      'subgroup-matrix': gpu && matrixConfigs(gpu.info).length > 0 ? matrixConfigs(gpu.info).join(', ') : false,
      'timestamp-query': caps.timestamps,
    },
    limits: gpu && Object.fromEntries(LIMITS.map((name) => [name, gpu.gpu.limits[name]])),
    variants: null,
    missing,
  };
}

/** What each feature is for, where it is absent. */
const FALLBACK: Record<string, string> = {
  subgroups: 'kernels that share values through workgroup memory run instead',
  'shader-f16': 'everything is computed in f32, precision=mixed is refused',
  'subgroup-matrix': 'precision=mixed multiplies in plain tiles',
  'timestamp-query': 'bench --profile has no GPU times',
};

function print(report: Report, out: Output): void {
  out.line(`Attune ${report.attune} · Node ${report.node} · Dawn (webgpu ${report.webgpu}) · ${report.platform}`);
  if (!report.adapter) {
    out.line('adapter: none was found; this machine computes on the CPU');
    return;
  }
  const { description, vendor, architecture } = report.adapter;
  out.line(`adapter: ${description || 'unnamed'} (${[vendor, architecture].filter(Boolean).join(', ')})`);
  out.line('features');
  for (const [name, value] of Object.entries(report.features ?? {})) {
    out.line(
      `  ${name.padEnd(16)} ${value === false ? `no: ${FALLBACK[name]}` : value === true ? 'yes' : `yes, ${value}`}`,
    );
  }
  out.line('limits');
  for (const [name, value] of Object.entries(report.limits ?? {})) {
    out.line(`  ${name.padEnd(34)} ${/Size$|StorageSize$/.test(name) ? formatBytes(value) : formatCount(value)}`);
  }
}

/** Trains and ranks for a moment with the widths of the default recipe, so that the variants are those of real runs. */
async function tryOut(device: Device): Promise<Record<string, string[]>> {
  const bar = createProgress({ total: 1 });
  bar.update(0, { phase: 'compiling the kernels' });
  try {
    const settings = settingsFor('sasrec', { budget: '256', window: '64', validateUsers: '16', validateSteps: '1000' });
    const shop = makeShop({ shoppers: 16, items: 100 });
    const split = splitDataset(prepare(shop.log, { minInteractions: 1 }));
    await train({ device, files: new MemoryFiles('doctor'), split, settings, seed: 1, epochs: 1 });
    return device.variants();
  } catch (error) {
    throw new OpenDeviceError(
      `device: the adapter was found, but a training step failed on it: ${(error as Error).message}`,
    );
  } finally {
    bar.stop();
  }
}
