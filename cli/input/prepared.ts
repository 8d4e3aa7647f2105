/** Datasets that `attune prepare` writes: made from files, opened, and made by `train` for a log that is large. */
import { statSync } from 'node:fs';
import type { PrepareOptions, PrepareReport } from '../../data/dataset.ts';
import { readStoredLog } from '../../data/formats/reader.ts';
import { DatasetFolder, writeDataset } from '../../interop/dataset/prepare.node.ts';
import { isDataset, readManifest } from '../../interop/dataset/open.node.ts';
import type { Manifest } from '../../interop/dataset/manifest.ts';
import { TimeBudget } from '../../train/loop/time-budget.ts';
import { onInterrupt, type Output } from '../common.ts';
import { InterruptedError } from '../errors.ts';
import { createProgress, formatBytes } from '../output/ui.ts';
import { type Columns, openFiles, type Reading } from './data.ts';
import { expandPaths } from './paths.ts';

/** A log that is beyond this is prepared before it trains: in memory it would take five times as much. */
const LARGE = 128 * 2 ** 20;
/** Of compressed files. */
const LARGE_COMPRESSED = LARGE / 4;

export interface PrepareTask {
  data: string;
  out: string;
  reading: Reading;
  filter: PrepareOptions;
  overwrite?: boolean;
  progress?: boolean;
}

/** Writes the dataset of a log. Ctrl-C ends it, and leaves no rows behind. @throws InputError */
export async function prepareDataset(task: PrepareTask): Promise<PrepareReport> {
  const { data, out, reading, filter, overwrite = false } = task;
  const names = expandPaths(data);
  const sources = sourcesOf(names);
  const interrupt = onInterrupt(() => {});
  const budget = new TimeBudget(undefined, interrupt.signal);
  const bar = createProgress({ total: 1000, force: task.progress });
  const bytes = Math.max(
    1,
    sources.reduce((sum, one) => sum + one.bytes, 0),
  );
  const folder = DatasetFolder.create(out, overwrite);
  try {
    const log = await readStoredLog(
      openFiles(names),
      names.length === 1 ? names[0] : data,
      {
        ...reading,
        onProgress: (done) => {
          budget.check();
          bar.update((1000 * done) / bytes, { phase: 'reading' });
        },
      },
      folder.store,
    );
    return await writeDataset(folder, log, filter, { columns: definedOf(reading.columns), sources }, (phase, done) =>
      budget.pause(() => bar.update(1000 * done, { phase })),
    );
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    throw new InterruptedError(`stopped; ${out} holds no dataset yet: start again with the same command`);
  } finally {
    folder.clean();
    interrupt.end();
    bar.stop();
  }
}

const sourcesOf = (names: readonly string[]): Manifest['sources'] =>
  names.map((name) => {
    const { size, mtimeMs } = statSync(name);
    return { name, bytes: size, changed: mtimeMs };
  });

const definedOf = (columns: Columns): Record<string, string> => ({ ...columns }) as Record<string, string>;

/** Whether a log is too large to be read into memory. */
function isLarge(names: readonly string[]): boolean {
  const weight = (name: string): number => statSync(name, { throwIfNoEntry: false })?.size ?? 0;
  const share = names.reduce(
    (sum, name) => sum + weight(name) / (/\.(gz|parquet)$/.test(name) ? LARGE_COMPRESSED : LARGE),
    0,
  );
  return share > 1;
}

/**
 * What to train on: the log as it is, or the dataset of a large one, beside the model. One that was made of the same
 * files is taken as it is.
 * @param out folder of the model
 */
export async function preparedBeside(
  model: string,
  task: Omit<PrepareTask, 'out' | 'overwrite'>,
  out: Output,
): Promise<string> {
  const { data, filter, reading } = task;
  const names = expandPaths(data);
  if (isDataset(data) || !isLarge(names)) return data;
  const dir = `${model.replace(/[\\/]+$/, '')}.dataset`;
  const sources = sourcesOf(names);
  const total = formatBytes(sources.reduce((sum, { bytes }) => sum + bytes, 0));
  if (isDataset(dir)) {
    const was = readManifest(dir);
    const same =
      JSON.stringify([was.sources, was.filter, was.columns]) ===
        JSON.stringify([sources, JSON.parse(JSON.stringify(filter)), definedOf(reading.columns)]) &&
      (reading.context ?? []).every((name) => was.context.includes(name));
    if (same) {
      out.note(`${data}: ${total}; its dataset is in ${dir}, which is read instead`);
      return dir;
    }
  }
  out.note(
    `${data}: ${total}, which is prepared as a dataset first, in ${dir} (attune prepare does it for all commands)`,
  );
  await prepareDataset({ ...task, out: dir, overwrite: true });
  return dir;
}
