/** The stages of a training: one live encoder, one time budget, progress, interruption and continuation. */
import { describe, expect, it, vi } from 'vitest';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import { readMetrics } from '../../model/storage/folder.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { Snapshot } from '../../model/storage/manifest.ts';
import { MEMORY } from '../../model/transitions/transitions.ts';
import type { TrainProgress } from '../../train/loop/options.ts';
import { planTraining } from '../../train/plan.ts';
import { resumePlan } from '../../train/resume-plan.ts';
import { runPlan } from '../../train/run-plan.ts';
import { openDevice } from '../device.ts';
import { randomSource, stopWhen } from './small.ts';
import { set } from '../set.ts';

const settings = set('d=8 ff=16 blocks=1 heads=1 window=16 budget=128 validateSteps=4');
const transitionsIn = async (files: MemoryFiles) => (await Snapshot.open(files)).read(MEMORY);

const device = await openDevice({ backend: 'cpu' });

it('share one encoder, and report what they do', async () => {
  const ranker = set('ranker=on rankerCandidates=8 rankerNegatives=4 rankerValidate=2 rankerPatience=1');
  const plan = planTraining(randomSource(30, 8, 12), {
    recipe: 'sasrec',
    settings: { ...settings, ...ranker },
    minInteractions: 1,
    epochs: 1,
  });
  const made = vi.spyOn(SequenceModel, 'create');
  const phases = new Set<string>();
  const onProgress = ({ phase }: TrainProgress) => phases.add(phase);
  const files = new MemoryFiles();
  const { components, coldStart } = await runPlan(plan, { device, files, onProgress });
  expect(made).toHaveBeenCalledOnce();
  made.mockRestore();
  expect(Object.keys(components).sort()).toEqual(['memory', 'ranker', 'retrieval', 'transformer']);
  expect(coldStart?.users).toBeGreaterThan(0);
  expect([...phases]).toEqual(
    expect.arrayContaining(['transitions', 'compiling', 'training', 'validating', 'saving', 'blending', 'ranking']),
  );
});

describe('learning item transitions of a large catalog', () => {
  // More items than the CPU device solves exactly.
  const large = randomSource(400, 30, 2500);
  const options = { recipe: 'sasrec', settings, minInteractions: 1, epochs: 1 };

  it('lets others run, stops when interrupted, and starts again when continued', async () => {
    const files = new MemoryFiles();
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const plan = planTraining(large, options);
    const learning = stopWhen(({ phase, done }) => phase === 'transitions' && (done ?? 0) > 0);
    const stopped = await runPlan(plan, { device, files, ...learning });
    clearInterval(timer);
    expect(turns).toBeGreaterThan(0);
    expect(stopped.result).toMatchObject({ reason: 'interrupted', step: 0 });
    expect(await transitionsIn(files)).toBeNull();

    // Until the first step of the encoder, once in one go and once continued.
    const until = () => stopWhen(({ phase }) => phase === 'compiling');
    const whole = new MemoryFiles();
    await runPlan(planTraining(large, options), { device, files: whole, ...until() });
    await runPlan(await resumePlan(files, large, { epochs: 1 }), { device, files, ...until() });
    expect(await transitionsIn(files)).toEqual(await transitionsIn(whole));
    expect(await transitionsIn(files)).not.toBeNull();
  });

  it('is given up when its share of the time is over, and says so: the encoder scores alone', async () => {
    const files = new MemoryFiles();
    const lines: string[] = [];
    const deadline = performance.now() + 100;
    const plan = planTraining(large, { ...options, settings: { ...settings, validateUsers: '1' } });
    const { result, metrics } = await runPlan(plan, { device, files, deadline, log: (line) => lines.push(line) });
    expect(lines.slice(0, 2)).toEqual(
      ['baselines', 'item transitions'].map((name) => `${name}: given up, its time is up`),
    );
    expect(result).toMatchObject({ reason: 'time', step: 1 });
    expect(metrics).not.toBeNull();
    expect((await loadModel(files)).blended).toBeNull();
  });
});

it('a validation that is interrupted is run again when the training continues, with the same weights in the end', async () => {
  const log = randomSource(200, 8, 12);
  const options = { recipe: 'sasrec', settings: { ...settings, memory: 'off' }, minInteractions: 1, epochs: 3 };
  const whole = new MemoryFiles();
  const wanted = await runPlan(planTraining(log, options), { device, files: whole });
  const files = new MemoryFiles();
  const validating = stopWhen(({ phase, step }) => phase === 'validating' && step === 8);
  const cut = await runPlan(planTraining(log, options), { device, files, ...validating });
  expect(cut.result).toMatchObject({ reason: 'interrupted', step: 8 });
  const { result } = await runPlan(await resumePlan(files, log, { epochs: 3 }), { device, files });
  expect([...cut.result.validations, ...result.validations]).toEqual(wanted.result.validations);
  const epochs = async (of: MemoryFiles) => (await readMetrics(of)).map(({ step, epoch }) => [step, epoch]);
  expect(await epochs(files)).toEqual(await epochs(whole));
  const weights = async (of: MemoryFiles) => (await Snapshot.open(of)).read('model.safetensors');
  expect(await weights(files)).toEqual(await weights(whole));
});
