/**
 * Every stage reports progress at least every two seconds, and ends within two seconds of Ctrl-C and of its deadline: by a
 * clock of which each piece of work takes its time, so that it does not matter how fast the machine is.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { planEpoch } from '../../data/batching/batches.ts';
import { inPieces } from '../../data/pieces.ts';
import { seeded } from '../../data/random.ts';
import { parseProtocol } from '../../data/splits/protocol.ts';
import { Split } from '../../data/splits/split.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import { recordTraining } from '../../model/storage/training-record.ts';
import { logOf } from '../../train/events.ts';
import { createEncoder } from '../../train/loop/trainer.ts';
import { planTraining, type TrainingSource } from '../../train/plan.ts';
import { planRatings } from '../../train/ratings/plan.ts';
import { runRatingPlan } from '../../train/ratings/run-plan.ts';
import { type RunOptions, runPlan, STAGES } from '../../train/run-plan.ts';
import { planTransfer } from '../../train/transfer/plan-transfer.ts';
import { learnTransitions } from '../../train/transitions/learn.ts';
import { countGroups, fitSegmentPrior } from '../../train/stages/segment-prior.ts';
import { openDevice } from '../device.ts';
import { set } from '../set.ts';

/** Milliseconds that anything may take between two reports, and after a signal or a deadline. */
const LIMIT = 2000;
/** Milliseconds of a dispatch, of a look at a user's events, and of reading the clock. */
const DISPATCH = 8;
const LOOK = 0.2;
const GLANCE = 0.1;

/** Looks at users' events, and readings of the clock. */
let looks = 0;
let glances = 0;
const now = (): number => DISPATCH * device.stats().dispatches + LOOK * looks + GLANCE * glances;

const device = await openDevice({ backend: 'cpu' });

beforeEach(() => {
  vi.spyOn(performance, 'now').mockImplementation(() => {
    glances++;
    return now();
  });
  for (const name of ['history', 'targets', 'targetRange', 'trainLength'] as const) {
    const plain = Split.prototype[name] as (...args: unknown[]) => never;
    vi.spyOn(Split.prototype, name).mockImplementation(function (this: Split, ...args: unknown[]) {
      looks++;
      return plain.apply(this, args);
    });
  }
});
afterEach(() => {
  vi.restoreAllMocks();
});

const SETTINGS = set('d=8 ff=16 blocks=1 heads=1 window=8 budget=256 validateSteps=8');
const RANKER = set('ranker=on rankerCandidates=8 rankerNegatives=4 rankerValidate=4 rankerPatience=1');
const CODES = set('d=16 items=codes itemCodes=4');
const RATINGS = set('d=8 heads=1 ff=8 budget=64 window=8 epochs=1 factors=2 sweeps=4 parts=2');
const USERS = 150;
const ITEMS = 40;

function source(): TrainingSource {
  const random = seeded(1, 0);
  const log = logOf(
    Array.from({ length: 6 * USERS }, (_, i) => {
      return { user: `u${i % USERS}`, item: `i${random.below(ITEMS)}`, time: i, rating: 1 + random.below(5) };
    }),
    'log',
  );
  const kinds = log.itemIds.map((id, i) => [id, { attributes: { kind: `k${i % 3}` } }] as const);
  const areas = log.userIds.map((id, u) => [id, { area: `a${u % 2}` }] as const);
  return { log, name: 'log', items: new Map(kinds), users: new Map(areas) };
}

type Sinks = Pick<RunOptions, 'signal' | 'deadline'> & { onProgress(progress: { phase: string }): void };

/** What a training starts from. */
const old = new MemoryFiles();
await runPlan(planTraining(source(), { recipe: 'sasrec', minInteractions: 1, epochs: 1, settings: SETTINGS }), {
  device,
  files: old,
});

/** Trainings that have every stage together. */
async function plansOf() {
  const log = source();
  const { users: _, ...plain } = log;
  const options = { recipe: 'sasrec', minInteractions: 1, epochs: 1 };
  const served = planTraining(log, { ...options, settings: { ...SETTINGS, ...RANKER } });
  const protocol = parseProtocol('cold-items:share=0.2,valid=0.2');
  const cold = planTraining(plain, { ...options, settings: SETTINGS, protocol });
  const coded = planTraining(plain, { ...options, settings: { ...SETTINGS, ...CODES } });
  const started = await planTransfer(old, plain, { ...options, settings: { ...SETTINGS, guard: 'on' } });
  const rated = planRatings(log, { split: { name: 'folds', k: 2 }, settings: RATINGS });
  return { served, cold, coded, started, rated };
}

const trainings = {
  'that ranks': ({ served }: Plans, sinks: Sinks) => runPlan(served, { device, files: new MemoryFiles(), ...sinks }),
  'that ranks cold items': ({ cold }: Plans, sinks: Sinks) =>
    runPlan(cold, { device, files: new MemoryFiles(), ...sinks }),
  'of items that share codes': ({ coded }: Plans, sinks: Sinks) =>
    runPlan(coded, { device, files: new MemoryFiles(), ...sinks }),
  'that starts from another model, with a guard': ({ started }: Plans, sinks: Sinks) =>
    runPlan(started, { device, files: new MemoryFiles(), ...sinks }),
  'on ratings': ({ rated }: Plans, sinks: Sinks) =>
    runRatingPlan(rated, { device, files: new MemoryFiles(), ...sinks }),
};
type Plans = Awaited<ReturnType<typeof plansOf>>;

it('every stage of a ranking model is in one of these trainings', async () => {
  const { served, cold, coded, started } = await plansOf();
  for (const stage of STAGES) expect([served, cold, coded, started].some(stage.applies), stage.name).toBe(true);
});

it('work on the host pauses after each user and each item', async () => {
  const { served } = await plansOf();
  const { split, validationUsers, config } = served;
  let pauses = 0;
  const pause = async () => {
    pauses++;
  };
  const during = async (work: () => Promise<unknown>): Promise<number> => {
    pauses = 0;
    await work();
    return pauses;
  };
  const { users, items } = split;
  expect(await during(() => recordTraining(new MemoryFiles(), split, 1, pause))).toBeGreaterThanOrEqual(2 * users);
  expect(await during(() => inPieces(served.baselines(), pause))).toBeGreaterThanOrEqual(3 * users + 2 * items);
  const epoch = { maxTokens: 64, window: 8, seed: 1, epoch: 0 };
  for (const continuation of [undefined, 4])
    expect(await during(() => inPieces(planEpoch(split, { ...epoch, continuation }), pause))).toBeGreaterThan(users);
  expect(await during(() => countGroups(split, pause))).toBeGreaterThanOrEqual(users);
  const encoder = createEncoder({ ...served, device, seed: config.seed });
  // Each user is looked at once for the segments, and then from their last event, their last two, and their last four.
  const fitted = await during(() => fitSegmentPrior(encoder, split, validationUsers, null, false, pause));
  encoder.dispose();
  expect(fitted).toBeGreaterThanOrEqual(users + 4 * validationUsers.length);
  for (const method of ['exact', 'neighbours'] as const) {
    const paused = await during(() => learnTransitions(device, split, { method, pause }));
    expect(paused, method).toBeGreaterThanOrEqual(2 * users + 3 * items);
  }
});

describe.each(Object.entries(trainings))('a training %s', (_, train) => {
  let whole: Promise<{ phases: string[]; gaps: number[]; takes: number }> | null = null;
  /** One run to its end: the phases that it reports, the time before each report and after the last, and in all. */
  const measured = () => {
    whole ??= (async () => {
      const plans = await plansOf();
      const started = now();
      let last = started;
      const [phases, gaps]: [string[], number[]] = [[], []];
      const gap = () => {
        gaps.push(now() - last);
        last = now();
      };
      const onProgress = ({ phase }: { phase: string }) => {
        gap();
        phases.push(phase);
      };
      await train(plans, { onProgress });
      gap();
      return { phases, gaps, takes: now() - started };
    })();
    return whole;
  };

  it('reports progress at least every two seconds', async () => {
    const { gaps, takes } = await measured();
    expect(Math.max(...gaps)).toBeLessThan(LIMIT);
    expect(takes).toBeGreaterThan(1.25 * LIMIT); // or the limits would not be tested
  });

  it('ends within two seconds of a signal, whenever that comes', async () => {
    const { phases } = await measured();
    const firsts = [...new Set(phases)].map((phase) => phases.indexOf(phase));
    const whens = firsts.flatMap((i) => [i, i + 1, phases.lastIndexOf(phases[i])]);
    for (const when of new Set(whens)) {
      const stop = new AbortController();
      const plans = await plansOf(); // a plan keeps what it has measured
      let [reports, stopped] = [0, 0];
      const onProgress = () => {
        if (reports++ !== when) return;
        stopped = now();
        stop.abort();
      };
      const { result } = await train(plans, { signal: stop.signal, onProgress });
      if (firsts.includes(when)) expect(result.reason).toBe('interrupted');
      expect(now() - stopped, phases[when]).toBeLessThan(LIMIT);
    }
  });

  it.each([0.5, 0.7, 0.9])('ends within two seconds of a deadline after %d of its time', async (share) => {
    const { takes } = await measured();
    const plans = await plansOf();
    const deadline = now() + share * takes;
    await train(plans, { deadline, onProgress: () => {} });
    expect(now() - deadline).toBeLessThan(LIMIT);
  });
});
