/** A training that is interrupted in any of its stages, and continued, makes the model that one run makes. */
import { beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../model/storage/config.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { Snapshot } from '../../model/storage/manifest.ts';
import { RANKER_FILE } from '../../model/ranker/store.ts';
import type { TrainProgress } from '../../train/loop/options.ts';
import { planTraining, type RankingPlan } from '../../train/plan.ts';
import { resumePlan } from '../../train/resume-plan.ts';
import { runPlan } from '../../train/run-plan.ts';
import { openDevice } from '../device.ts';
import { copyOf } from '../model/folder.fixture.ts';
import { randomSource, stopWhen } from './small.ts';
import { set } from '../set.ts';

const settings = {
  ...set(
    'd=8 ff=16 blocks=1 heads=1 window=16 budget=128 validateSteps=4 ranker=on rankerCandidates=8 rankerNegatives=4 rankerValidate=2 rankerPatience=2',
  ),
};
/** What the training has learned, byte for byte, without times and counters of checkpoints. */
async function learned(files: MemoryFiles) {
  const snapshot = await Snapshot.open(files);
  const parts = ['model.safetensors', 'memory.safetensors', 'users.safetensors', RANKER_FILE, 'training.bin'] as const;
  const bytes = await Promise.all(parts.map(async (part) => [part, await snapshot.read(part)]));
  return { blend: (await loadConfig(files)).blend, ...Object.fromEntries(bytes) };
}

/** Its first report has the encoder's best metric, the next ones have none until it is validated. */
function validatedRanker(): (progress: TrainProgress) => boolean {
  let unknown = false;
  return ({ phase, bestNdcg }) => {
    unknown ||= phase === 'ranking' && bestNdcg === null;
    return unknown && bestNdcg !== null;
  };
}

describe('continued after an interruption', async () => {
  const { items: _, ...log } = randomSource(40, 8, 12);
  const device = await openDevice({ backend: 'cpu' });
  /** After one epoch, with all that is fitted to its encoder; and after two, in one go. */
  let once: MemoryFiles;
  let wanted: Awaited<ReturnType<typeof learned>>;

  /** Runs until a report of this kind comes for the nth time. */
  const run = async (
    plan: RankingPlan,
    files: MemoryFiles,
    stopAt: (progress: TrainProgress) => boolean = () => false,
    n = 1,
  ) => {
    let left = n;
    const options = { device, files, ...stopWhen((progress) => stopAt(progress) && --left === 0) };
    return (await runPlan(plan, options)).result.reason;
  };
  const start = (epochs: number) => planTraining(log, { recipe: 'sasrec', settings, minInteractions: 1, epochs });

  beforeAll(async () => {
    once = new MemoryFiles();
    await run(start(1), once);
    const twice = await copyOf(once);
    await run(await resumePlan(twice, log, { epochs: 2 }), twice);
    wanted = await learned(twice);
    // The test can fail: the second epoch changes all that is fitted to the encoder.
    const before = await learned(once);
    for (const part of ['model.safetensors', RANKER_FILE] as const) expect(before[part]).not.toEqual(wanted[part]);
    expect(before.blend).not.toEqual(wanted.blend);
  });

  it.each([
    ['the encoder', (p: TrainProgress) => p.phase === 'training', 1],
    ['the blend', (p: TrainProgress) => p.phase === 'blending' && p.done === 0, 1],
    ['the segment prior', (p: TrainProgress) => p.phase === 'blending' && p.done === 0, 2],
    ['the ranker, before its first validation', (p: TrainProgress) => p.phase === 'ranking', 1],
    ['the ranker, after a validation', validatedRanker(), 1],
  ] as const)('in %s', async (_, stopAt, n) => {
    const files = await copyOf(once);
    expect(await run(await resumePlan(files, log, { epochs: 2 }), files, stopAt, n)).toBe('interrupted');
    expect(await learned(files)).not.toEqual(wanted);
    await loadModel(files);
    await run(await resumePlan(files, log, { epochs: 2 }), files);
    expect(await learned(files)).toEqual(wanted);
    expect(await run(await resumePlan(files, log, { epochs: 2 }), files)).toBe('finished before');
  });

  it.each([
    ['the record', 'recording'],
    ['the transitions', 'transitions'],
  ])('in %s, before the first step', async (_, phase) => {
    const files = new MemoryFiles();
    expect(await run(start(1), files, (p) => p.phase === phase)).toBe('interrupted');
    await run(await resumePlan(files, log, { epochs: 1 }), files);
    expect(await learned(files)).toEqual(await learned(once));
  });
});
