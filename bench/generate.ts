/** What a step of a continuation costs: the tenth against the first, with and without a cache of keys and values. */
import { seeded } from '../data/random.ts';
import type { Device } from '../engine/index.ts';
import { settingsFor } from '../model/recipes/recipes.ts';
import { Scorer } from '../model/inference/scorer.ts';
import { SequenceModel } from '../model/encoders/sequence-model.ts';
import { Stepper } from '../model/inference/stepper.ts';

export interface GenerateBench {
  recipe: string;
  /** Histories that are continued at once, and their length. */
  rows: number;
  history: number;
  items: number;
  /** Milliseconds of reading the histories, once. */
  read: number;
  /** Of each step, the first to the last; medians over runs, the answer's way back included. */
  steps: number[];
  /** The tenth step's (the last one's) over the first's. */
  ratio: number;
  /** Milliseconds of a whole forward pass over history and continuation, which a step without a cache is. */
  whole: number;
}

const STEPS = 10;
const ITEMS = 3416;

/** One history and sixteen, by an encoder alone and by an encoder–decoder, with random weights. */
export async function benchGenerate(device: Device, options: { runs?: number } = {}): Promise<GenerateBench[]> {
  const small = device.backend === 'cpu';
  const results: GenerateBench[] = [];
  for (const recipe of ['sasrec', 'encoder-decoder']) {
    const settings = settingsFor(recipe, small ? { d: '16', ff: '32', window: '40' } : {});
    const items = small ? 200 : ITEMS;
    const model = SequenceModel.create(device, settings, items, 1);
    for (const rows of small ? [1] : [1, 16])
      results.push({ recipe, ...(await continued(model, rows, options.runs ?? 9)) });
    model.dispose();
  }
  return results;
}

async function continued(model: SequenceModel, rows: number, runs: number): Promise<Omit<GenerateBench, 'recipe'>> {
  const { device, items, settings } = model;
  const length = settings.window - STEPS;
  const random = seeded(1, rows);
  const draw = (n: number) => Uint32Array.from({ length: n }, () => random.below(items));
  const histories = Array.from({ length: rows }, () => draw(length));
  const maxTokens = 2 ** Math.ceil(Math.log2(rows * length));
  const stepper = new Stepper(model, { maxTokens, rows, steps: STEPS, excluded: 256, k: 10, entries: 0 });
  const scorer = new Scorer(model, { k: 10 });
  const times: number[][] = Array.from({ length: STEPS + 2 }, () => []);
  const clock = async (at: number, work: () => unknown): Promise<void> => {
    await device.settle();
    const started = performance.now();
    await work();
    await device.settle();
    times[at].push(performance.now() - started);
  };
  // The first run compiles and records.
  for (let run = 0; run <= runs; run++) {
    if (run === 1) for (const t of times) t.length = 0;
    await clock(STEPS, () => stepper.read(histories.map((items) => ({ items }))));
    const before: number[][] = histories.map(() => []);
    for (let step = 0; step < STEPS; step++) {
      const exclude = new Uint32Array(0);
      const tokens = before.map((slots, r) => ({
        item: r + step,
        history: r,
        before: [...slots],
        exclude,
        recent: histories[r],
      }));
      await clock(step, () => stepper.step(step, tokens, 1));
      before.forEach((slots, r) => slots.push(stepper.slotOf(step, r)));
    }
    await clock(STEPS + 1, () => scorer.score(histories.map((history) => ({ history }))));
  }
  stepper.dispose();
  scorer.dispose();
  const medians = times.map((t) => t.sort((a, b) => a - b)[t.length >> 1]);
  const steps = medians.slice(0, STEPS);
  return {
    rows,
    history: length,
    items,
    steps,
    read: medians[STEPS],
    whole: medians[STEPS + 1],
    ratio: steps[STEPS - 1] / steps[0],
  };
}
