/** One log through the command, the page, the library, the search and the demo: all write the same folder, byte for byte. */
import { afterAll, expect, it } from 'vitest';
import { goodsCsv, planDemo } from '../../cli/commands/demo.ts';
import { logCsv } from '../../cli/output/log-csv.ts';
import { type Files, MemoryFiles } from '../../model/storage/files.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { Snapshot } from '../../model/storage/manifest.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { runPlan } from '../../train/run-plan.ts';
import { trainModel } from '../../train/train-model.ts';
import { openSource } from '../../web/worker/log.ts';
import { planNew, trainOn } from '../../web/worker/training.ts';
import { Workplace } from '../cli/attune.ts';
import { openDevice } from '../device.ts';
import { set } from '../set.ts';

const settings = {
  ...set(
    'd=8 ff=16 blocks=1 heads=2 window=16 budget=256 validateSteps=6 memory=on ranker=on rankerCandidates=10 rankerNegatives=4 rankerValidate=4 rankerPatience=1',
  ),
};
const place = new Workplace();
const device = await openDevice({ backend: 'cpu' });
const { shop, plan } = planDemo(1, { shop: { shoppers: 40, items: 30 }, settings }, 1);

place.write('log.csv', logCsv(shop.log));
place.write('items.csv', goodsCsv(plan.items));
afterAll(() => place.remove());

/** Of a model card and a config what differs from one start to the next: dates, times, names of sources and devices. */
const said = (text: string): string =>
  text
    .replace(/"(created|device|source)": "[^"]*"/g, '"$1": ""')
    .replace(/^# .*$|^\| source \|.*$|, \d{4}-\d\d-\d\d\.$|[\d,]+ seconds on [^;]*/gm, '')
    .replace(/"(elapsedSeconds|tokensPerSecond)":[\d.]+/g, '"$1":0');

/** The header of a safetensors file without the time that the training took, and its tensors. */
function tensors(bytes: Uint8Array): [string, Uint8Array] {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = new TextDecoder().decode(bytes.subarray(8, 8 + length));
  return [header.replace(/\\"elapsedSeconds\\":[\d.]+/, '').trim(), bytes.slice(8 + length)];
}

async function contents(files: Files): Promise<Record<string, unknown>> {
  const snapshot = await Snapshot.open(files);
  const found: Record<string, unknown> = {};
  for (const part of await snapshot.parts()) {
    const bytes = (await snapshot.read(part)) as Uint8Array;
    found[part] = part.endsWith('.safetensors')
      ? tensors(bytes)
      : part.endsWith('.json')
        ? said(new TextDecoder().decode(bytes))
        : bytes.slice();
  }
  for (const name of ['README.md', 'metrics.jsonl'])
    found[name] = said(new TextDecoder().decode((await files.read(name)) ?? undefined));
  return found;
}

const flags = (): string[] => [
  ...['--data', 'log.csv', '--items', 'items.csv', '--recipe', 'sasrec', '--min-interactions', '1', '--include-seen'],
  ...Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]),
  ...['--epochs', '1', '--device', 'cpu'],
];

async function byDemo(): Promise<Files> {
  return (await runPlan(plan, { device, files: new MemoryFiles('demo') })).files;
}

async function byLibrary(): Promise<Files> {
  const { log, items } = shop;
  const events = Array.from({ length: log.size }, (_, i) => ({
    user: log.userIds[log.user[i]],
    item: log.itemIds[log.item[i]],
    time: log.time?.[i],
  }));
  const described = Array.from(items, ([id, info]) => ({ id, ...info }));
  const options = { device, settings, items: described, recipe: 'sasrec', minInteractions: 1, includeSeen: true };
  return (await trainModel(events, { ...options, epochs: 1 })).files;
}

async function byCommand(): Promise<Files> {
  const { code, stderr } = await place.run(['train', '--out', 'model', ...flags()]);
  expect(code, stderr).toBe(0);
  return NodeFiles.open(place.path('model'));
}

/** Interrupted after its first trial. */
async function bySearch(): Promise<Files> {
  const { code, stdout, stderr } = await place.run(
    ['search', '--out', 'search', '--trials', '1', '--budget', '10m', ...flags()],
    {
      started: (child) =>
        child.stdout?.on('data', (text: string) => text.includes('trial 0 (') && child.kill('SIGINT')),
    },
  );
  expect(code, stdout + stderr).toBe(130);
  return NodeFiles.open(place.path('search/trial-000'));
}

async function byPage(): Promise<Files> {
  const file = (name: string, text: string): File => new File([text], name);
  const items = file('items.csv', goodsCsv(plan.items));
  const source = { kind: 'file', file: file('log.csv', logCsv(shop.log)), items, users: null } as const;
  const opened = await openSource(source, { columns: {}, maxBadRows: 0, events: [] }, () => {});
  const filter = { minInteractions: 1, minRating: null };
  const asked = { name: 'm', recipe: 'sasrec', settings, epochs: 1, minutes: null, seed: 1, includeSeen: true };
  const files = new MemoryFiles('page');
  const run = {
    source: { kind: 'file', name: 'log.csv', items: 'items.csv', users: null },
    reading: opened.reading,
    filter,
    plan: asked,
    state: 'running',
  } as const;
  const prepared = { files, run, plan: planNew(opened, filter, asked), users: null };
  await trainOn(device, prepared, new AbortController().signal, () => {});
  return files;
}

it('writes the same folder through every front door', async () => {
  const files = await byLibrary();
  const wanted = await contents(files);
  expect(Object.keys(wanted)).toContain('ranker.safetensors');
  expect((await loadModel(files)).blended).not.toBeNull();
  const doors = { command: byCommand, page: byPage, search: bySearch, demo: byDemo };
  for (const [name, door] of Object.entries(doors)) {
    const found = await contents(await door());
    expect(Object.keys(found), name).toEqual(Object.keys(wanted));
    for (const part of Object.keys(wanted)) expect(found[part], `${name}: ${part}`).toEqual(wanted[part]);
  }
});
