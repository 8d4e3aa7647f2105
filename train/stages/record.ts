/** The first stage of every training: the record of what it is trained on (model/storage/training-record.ts). */
import type { Files } from '../../model/storage/files.ts';
import { isRecorded } from '../../model/storage/training-record.ts';
import type { Stage } from './stage.ts';

interface Recorded {
  readonly plan: { readonly resume: boolean };
  readonly files: Files;
  /** @param done 0 to 1 */
  report(phase: 'recording', done: number): void;
}

/**
 * It takes the time that it needs, since without it a model could be evaluated on what it was trained on.
 * @param write awaits `pause` between pieces of the work
 */
export const recordStage = <Run extends Recorded>(
  write: (run: Run, pause: (done: number) => Promise<void>) => Promise<void>,
): Stage<Run> => ({
  name: 'training record',

  estimate: () => 0, // it is the first

  load: async ({ plan, files }) => plan.resume && (await isRecorded(files)),

  async run(run, budget) {
    const time = budget.untilStopped();
    run.report('recording', 0);
    await write(run, (done) => time.pause(() => run.report('recording', done)));
  },
});
