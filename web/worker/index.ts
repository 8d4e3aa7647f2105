/**
 * The worker does all computation, so that the page never blocks. The page calls it through comlink. It starts small: each
 * part loads when it is first used.
 */
import { expose } from 'comlink';
import type { RecommendQuery } from '../../recommend/types.ts';
import type { ModelSource } from '../../recommend/sources/sources.ts';
import { probe } from './adapter.ts';
import type { BenchAsked } from './bench.ts';
import type { Analysis, Choices, DeviceReport, Filter, Outcome, Plan, Preview, Reading, Source } from './contract.ts';
import { deleteModel, listModels } from './library.ts';
import type { Opened } from './log.ts';
import type { OnTrain } from './training.ts';

const logs = () => import('./log.ts');
const trainings = () => import('./training.ts');
const asking = () => import('./recommending.ts');
const insides = () => import('./inside.ts');
const benches = () => import('./bench.ts');

let opened: Opened | null = null;
let filter: Filter = { minInteractions: 5, minRating: null };
let stopping: AbortController | null = null;
/** Whether the engine is loaded, and may have a device. */
let computed = false;

const api = {
  async device(): Promise<DeviceReport> {
    return computed ? (await import('./device.ts')).describeDevice() : probe();
  },
  preview: async (file: File): Promise<Preview> => (await logs()).previewFile(file),

  /** What can be trained: recipes, and the settings that change them. */
  async choices(): Promise<Choices> {
    const [{ recipes }, { SETTINGS }, { describeSettings }] = await Promise.all([
      import('../../model/recipes/recipes.ts'),
      import('../../model/recipes/settings.ts'),
      import('../../model/recipes/setting.ts'),
    ]);
    const named = [...recipes.values()].map(({ name, summary }) => ({ name, summary }));
    return { recipes: named, settings: describeSettings(SETTINGS) };
  },

  async load(source: Source, reading: Reading, wanted: Filter, onProgress: (share: number) => void): Promise<Analysis> {
    const begun = performance.now();
    opened = null;
    const { analyse, openSource } = await logs();
    const next = await openSource(source, reading, onProgress);
    filter = wanted;
    opened = next; // another filter may leave some rows
    return analyse(next, wanted, begun).analysis;
  },

  /** The open log with another filter. */
  async filter(wanted: Filter): Promise<Analysis> {
    if (!opened) throw new Error('no log is open');
    filter = wanted;
    return (await logs()).analyse(opened, wanted, performance.now()).analysis;
  },

  async train(plan: Plan, tell: OnTrain): Promise<Outcome> {
    const log = opened;
    if (!log) throw new Error('no log is open');
    return training(async (signal) => {
      const { prepareNew, runTraining } = await trainings();
      return runTraining(await prepareNew(log, filter, plan), signal, tell);
    });
  },

  async resume(id: string, tell: OnTrain): Promise<Outcome> {
    (await asking()).closeRecommender(id);
    return training(async (signal) => {
      const { prepareResume, runTraining } = await trainings();
      return runTraining(await prepareResume(id, () => {}), signal, tell);
    });
  },

  /** Saves and stops after the current step; `resume` continues. */
  pause(): void {
    stopping?.abort();
  },

  models: listModels,
  async deleteModel(id: string): Promise<void> {
    (await asking()).closeRecommender(id);
    await deleteModel(id);
  },
  importModel: async (source: ModelSource, name: string) => (await import('./travel.ts')).importModel(source, name),
  exportModel: async (id: string, checkpoint: boolean) => (await import('./travel.ts')).exportModel(id, checkpoint),

  async openModel(id: string) {
    computed = true;
    return (await asking()).openForRecommending(id);
  },
  recommend: async (query: RecommendQuery) => (await asking()).recommend(query),
  personalize: async (history: readonly string[]) => (await asking()).personalize(history),
  forget: async () => (await asking()).recommender().forget(),

  map: async () => (await insides()).itemMap(),
  profile: async () => (await insides()).profileStep(),

  benchCases: async () => (await benches()).caseNames(),
  async bench(asked: BenchAsked, onCase: (name: string) => void) {
    computed = true;
    return (await benches()).runBench(asked, onCase);
  },
};

/** One training at a time, over all tabs: they would overwrite each other's files. */
async function training(work: (signal: AbortSignal) => Promise<Outcome>): Promise<Outcome> {
  if (stopping) throw new Error('a training runs already');
  const controller = new AbortController();
  stopping = controller;
  computed = true;
  try {
    return await navigator.locks.request('attune training', { ifAvailable: true }, async (lock) => {
      if (!lock) throw new Error('another tab of this page trains; wait for it, or pause it there');
      return work(controller.signal);
    });
  } finally {
    stopping = null;
  }
}

export type WorkerApi = typeof api;
expose(api);
