/** Datasets that `attune prepare` writes: made from files, opened, and made by `train` for a log that is large. */
import { statSync } from 'node:fs';
import type { PrepareOptions, PrepareReport } from '../../data/dataset.ts';
import { InputError } from '../../data/errors.ts';
import { readStoredLog } from '../../data/formats/reader.ts';
import { DatasetFolder, writeDataset } from '../../interop/dataset/prepare.node.ts';
import { isDataset, readManifest } from '../../interop/dataset/open.node.ts';
import type { Manifest } from '../../interop/dataset/manifest.ts';
import { Stopped, TimeBudget } from '../../train/loop/time-budget.ts';
import { onInterrupt, type Output } from '../common.ts';
import { InterruptedError } from '../errors.ts';
import { createProgress, formatBytes } from '../output/ui.ts';
import { missingPackage } from '../packages.ts';
import { type Columns, nameOfLog, openParts, type Reading, readingPhase } from './data.ts';
import { expandPaths, filesOfLog } from './paths.ts';

/** A log that is beyond this is prepared before it trains: in memory it would take five times as much. */
const LARGE = 128 * 2 ** 20;
/** A compressed file counts as so many times its size. */
const COMPRESSED = 4;

export interface PrepareTask {
  data: string;
  out: string;
  reading: Reading;
  filter: PrepareOptions;
  overwrite?: boolean;
  progress?: boolean;
  /** `performance.now()` at which it is given up */
  deadline?: number;
}

/** Writes the dataset of a log. Ctrl-C ends it, and leaves no rows behind. @throws InputError */
export async function prepareDataset(task: PrepareTask): Promise<PrepareReport> {
  const { data, out, reading, filter, overwrite = false } = task;
  const parts = expandPaths(data);
  const sources = sourcesOf(filesOfLog(data));
  const interrupt = onInterrupt(() => {});
  const budget = new TimeBudget(task.deadline, interrupt.signal);
  const bar = createProgress({ total: 1000, force: task.progress });
  const bytes = Math.max(
    1,
    sources.reduce((sum, one) => sum + one.bytes, 0),
  );
  const folder = DatasetFolder.create(out, overwrite);
  try {
    const log = await readStoredLog(
      openParts(parts),
      nameOfLog(parts, data),
      {
        ...reading,
        ...(parts.length === 1 && { namedByFile: undefined }),
        onProgress: (done, rows) => {
          budget.check();
          bar.update((1000 * done) / bytes, { phase: readingPhase(rows) });
        },
      },
      folder.store,
    );
    return await writeDataset(folder, log, filter, { columns: definedOf(reading.columns), sources }, (phase, done) =>
      budget.pause(() => bar.update(1000 * done, { phase })),
    );
  } catch (error) {
    if (!(error instanceof Stopped)) return missingPackage(error as Error);
    if (error.reason === 'time') {
      throw new InputError('conflicting-settings', `${data}: the time was up before it was read`, {
        setting: 'maxMinutes',
        hint: 'give more time, or prepare it first',
      });
    }
    throw new InterruptedError(`stopped; ${out} holds no dataset yet: start again with the same command`);
  } finally {
    folder.clean();
    interrupt.end();
    bar.stop();
  }
}

/** What tells the files of a log from those that they were at another time. */
export const sourcesOf = (names: readonly string[]): Manifest['sources'] =>
  names.map((name) => {
    const { size, mtimeMs } = statSync(name);
    return { name, bytes: size, changed: mtimeMs };
  });

const definedOf = (columns: Columns): Record<string, string> => ({ ...columns }) as Record<string, string>;

/** Whether a log is too large to be read into memory. */
function isLarge(names: readonly string[], large: number): boolean {
  const bytes = names.reduce((sum, name) => {
    const size = statSync(name, { throwIfNoEntry: false })?.size ?? 0;
    return sum + (/\.(gz|parquet)$/.test(name) ? COMPRESSED : 1) * size;
  }, 0);
  return bytes > large;
}

/**
 * What to train on: the log as it is, or the dataset of a large one, beside the model. One that was made of the same
 * files is taken as it is.
 * @param model folder of the model
 * @param large bytes beyond which a log is large
 */
export async function preparedBeside(
  model: string,
  task: Omit<PrepareTask, 'out' | 'overwrite'>,
  out: Output,
  large = LARGE,
): Promise<string> {
  const { data, filter, reading } = task;
  if (isDataset(data)) return data;
  const names = filesOfLog(data);
  if (!isLarge(names, large)) return data;
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
