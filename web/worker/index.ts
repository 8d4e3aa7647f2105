/** The worker: everything that computes, so that the page never waits. The page calls it through comlink. */
import { expose } from 'comlink';
import { recipes } from '../../model/recipes.ts';
import type { RecommendQuery } from '../../serve/recommender.ts';
import type { Analysis, Filter, Outcome, Plan, Reading, Source } from './contract.ts';
import type { BenchAsked } from './bench.ts';
import { describeDevice } from './device.ts';
import { deleteModel, exportModel, importModel, listModels } from './library.ts';
import { analyse, openSource, type Opened, previewFile } from './log.ts';
import { closeRecommender, openForRecommending, recommend } from './recommending.ts';
import { type OnTrain, prepareNew, prepareResume, runTraining } from './training.ts';

let opened: Opened | null = null;
let filter: Filter = { minInteractions: 5, minRating: null };
let stopping: AbortController | null = null;

const api = {
  device: describeDevice,
  preview: previewFile,
  recipes: () =>
    [...recipes.values()].map(({ name, summary, paper, settings }) => ({ name, summary, paper, settings })),

  async load(source: Source, reading: Reading, wanted: Filter, onProgress: (share: number) => void): Promise<Analysis> {
    const begun = performance.now();
    opened = null;
    const next = await openSource(source, reading, onProgress);
    filter = wanted;
    opened = next; // another filter may leave something
    return analyse(next, wanted, begun).analysis;
  },

  /** The log that is open, filtered otherwise. */
  async filter(wanted: Filter): Promise<Analysis> {
    if (!opened) throw new Error('no log is open');
    filter = wanted;
    return analyse(opened, wanted, performance.now()).analysis;
  },

  async train(plan: Plan, tell: OnTrain): Promise<Outcome> {
    const log = opened;
    if (!log) throw new Error('no log is open');
    return training((signal) =>
      prepareNew(log, filter, plan).then((prepared) => runTraining(prepared, false, signal, tell)),
    );
  },

  async resume(id: string, tell: OnTrain): Promise<Outcome> {
    closeRecommender(id);
    return training((signal) =>
      prepareResume(id, () => {}).then((prepared) => runTraining(prepared, true, signal, tell)),
    );
  },

  /** Saves and ends after the step that runs; `resume` goes on. */
  pause(): void {
    stopping?.abort();
  },

  models: listModels,
  async deleteModel(id: string): Promise<void> {
    closeRecommender(id);
    await deleteModel(id);
  },

  importModel,
  exportModel,

  openModel: openForRecommending,
  recommend: (query: RecommendQuery) => recommend(query),
  map: async () => (await import('./inside.ts')).itemMap(),
  profile: async () => (await import('./inside.ts')).profileStep(),

  benchCases: async () => (await import('./bench.ts')).caseNames(),
  async bench(asked: BenchAsked, onCase: (name: string) => void) {
    return (await import('./bench.ts')).runBench(asked, onCase);
  },
};

/** One training at a time, in this tab and in all others: they would write over each other. */
async function training(work: (signal: AbortSignal) => Promise<Outcome>): Promise<Outcome> {
  if (stopping) throw new Error('a training runs already');
  const controller = new AbortController();
  stopping = controller;
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
