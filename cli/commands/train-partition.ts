/** `attune train --round R --partition P`: what a worker does for a training that is divided (train/parallel/partition.ts). */
import type { RatingTrainFlags } from './train.flags.ts';
import path from 'node:path';
import { loadConfig } from '../../model/storage/config.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { lockFolder } from '../../recommend/sources/lock.node.ts';
import { Stopped } from '../../train/loop/time-budget.ts';
import { folderOf, trainPartition } from '../../train/parallel/partition.ts';
import { resumePlan } from '../../train/resume-plan.ts';
import { onInterrupt, openDevice, Output } from '../common.ts';
import { InterruptedError, UsageError } from '../errors.ts';
import { formatCount } from '../output/ui.ts';
import { openRounds, roundsFolder } from '../shared-partitions.ts';
import { openStoredSource } from '../training.ts';

export async function runTrainPartition(flags: RatingTrainFlags): Promise<void> {
  const started = performance.now();
  const out = new Output(flags.json);
  const { round, partition: number = 1, maxMinutes } = flags;
  if (round === undefined || !flags.resume)
    throw new UsageError('--partition requires --resume and --round: what workers do for a training with --workers');
  const files = await NodeFiles.open(flags.out);
  const config = await loadConfig(files);
  const workers = config.parallel?.workers ?? 0;
  if (number > workers)
    throw new UsageError(`--partition ${number}: ${flags.out} is divided into ${workers} partitions`);
  const plan = await resumePlan(files, await openStoredSource(flags, config));
  const partition = number - 1;
  const partitions = await openRounds(flags.out);
  const own = folderOf(round, partition);
  await partitions.folder(own);
  const lock = await lockFolder(path.join(roundsFolder(flags.out), own));
  const device = await openDevice(flags.device, out);
  const interrupt = onInterrupt(() => {});
  try {
    const answer = await trainPartition(plan, {
      device,
      partitions,
      round,
      partition,
      started,
      deadline: maxMinutes === undefined ? undefined : started + maxMinutes * 60_000,
      signal: interrupt.signal,
    });
    out.object(answer);
    out.line(`Round ${round}, partition ${number} of ${workers}: ${formatCount(answer.steps)} steps.`);
  } catch (error) {
    if (error instanceof Stopped) throw new InterruptedError('stopped; the partition starts its round again');
    throw error;
  } finally {
    interrupt.end();
    device.close();
    await lock.release();
  }
}
