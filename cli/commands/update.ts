/** `attune update`: from a model and new events to a new model. */
import { existsSync, realpathSync } from 'node:fs';
import { InputError } from '../../data/errors.ts';
import { mergeLogs } from '../../data/merge.ts';
import { loadConfig, type ModelConfig } from '../../model/storage/config.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { lockFolder } from '../../recommend/sources/lock.node.ts';
import { openPath } from '../../recommend/sources/sources.node.ts';
import { requirePrecision } from '../../train/loop/options.ts';
import type { AnySource } from '../../train/plan.ts';
import { planUpdate } from '../../train/update/update-plan.ts';
import { openDevice, Output, say } from '../common.ts';
import { columnsOf, openLog } from '../input/data.ts';
import { morePaths, pathsExist } from '../input/paths.ts';
import { contextOf } from '../input/side-features.ts';
import { formatCount } from '../output/ui.ts';
import { openStoredSource, refuseModel, trainWithProgress, withRows } from '../training.ts';
import { describeTraining, reportTraining } from './train.ts';
import type { UpdateFlags } from './update.flags.ts';

export async function runUpdate(flags: UpdateFlags): Promise<void> {
  const started = performance.now();
  const out = new Output(flags.json);
  const model = await openPath(flags.model);
  const config = await loadConfig(model);
  if (existsSync(flags.out)) {
    if (realpathSync(flags.out) === realpathSync(flags.model))
      throw new InputError('conflicting-settings', `--out ${flags.out}: is the model that the update starts from`, {
        hint: 'choose another folder',
      });
    await refuseModel(await NodeFiles.open(flags.out), flags, 'add --overwrite to replace it, or choose another --out');
  }
  const { maxMinutes, overwrite, progress, replay, learningRate, epochs } = flags;
  const plan = await planUpdate(model, await openSource(flags, config, out), { replay, learningRate, epochs });
  say(plan, out);
  const device = await openDevice(flags.device, out);
  try {
    requirePrecision(device, plan.settings);
    const files = await NodeFiles.create(flags.out);
    const lock = await lockFolder(flags.out);
    try {
      out.note(`updating on ${device.name}: ${describeTraining(plan)}`);
      const deadline = maxMinutes === undefined ? undefined : started + maxMinutes * 60_000;
      const trained = await trainWithProgress(device, plan, files, { deadline, overwrite, progress });
      reportTraining(trained, plan, { ...flags, data: plan.config.data.source, set: new Map() }, out);
    } finally {
      await lock.release();
    }
  } finally {
    device.close();
  }
}

/** The log of the training and the new events as one, under a path that names the files of both. */
async function openSource(flags: UpdateFlags, config: ModelConfig, out: Output): Promise<AnySource> {
  const { data, log = config.data.source, model, maxBadRows, progress } = flags;
  if (data !== log && !pathsExist(log))
    throw new InputError('not-found', `${log}: the log that ${model} was trained on is not there`, {
      hint: 'name it with --log PATH',
    });
  const source = await openStoredSource({ ...flags, data: log, out: model }, config);
  if (data === log) return source;
  const reading = { columns: columnsOf(flags, config.schema.columns), context: contextOf(config), maxBadRows };
  const added = await openLog(data, reading, progress);
  const merged = mergeLogs(withRows(source).log, added);
  const { duplicates } = merged;
  if (duplicates > 0)
    out.note(`${data}: ${formatCount(duplicates)} events are in ${log}, too, or twice, and count once`);
  return { ...source, log: merged, name: morePaths(data, log) };
}
