/**
 * The worker does all computation, so that the page never blocks. The page calls it through comlink. It starts small: each
 * part loads when it is first used.
 */
import { expose } from 'comlink';
import type { RecommendQuery } from '../../recommend/types.ts';
import type { ModelSource } from '../../recommend/sources/sources.ts';
import { probe } from './adapter.ts';
import type { BenchAsked } from './bench.ts';
import type {
  Analysis,
  DeviceReport,
  Filter,
  LogReading,
  LogSource,
  Plan,
  Preview,
  FormChoices,
  TrainingOutcome,
} from './contract.ts';
import { sendWholeErrors } from './errors.ts';
import { listModels, removeModel, writing } from './library.ts';
import type { Opened } from './log.ts';
import type { OnTrain, Prepared } from './training.ts';

const logs = () => import('./log.ts');
const trainings = () => import('./training.ts');
const recommending = () => import('./recommending.ts');
const insides = () => import('./inside.ts');
const benches = () => import('./bench.ts');

let opened: Opened | null = null;
let filter: Filter = { minInteractions: 5, minRating: null };
let stopping: AbortController | null = null;
/** What was trained last. */
let trained: Prepared | null = null;
/** Whether the engine is loaded, and may have a device. */
let computed = false;

const api = {
  async device(): Promise<DeviceReport> {
    return computed ? (await import('./device.ts')).describeDevice() : probe();
  },
  preview: async (file: File): Promise<Preview> => (await logs()).previewFile(file),

  /** What can be trained: recipes, and the settings that change them. */
  async trainingForm(): Promise<FormChoices> {
    const [{ recipes }, { SETTING_GROUPS }] = await Promise.all([
      import('../../model/recipes/recipes.ts'),
      import('../../model/recipes/settings.ts'),
    ]);
    const all = [...recipes.values()].map(({ name, summary, settings }) => ({
      name,
      summary,
      settings: { ...settings },
    }));
    return { recipes: all, groups: SETTING_GROUPS };
  },

  async load(
    source: LogSource,
    reading: LogReading,
    wanted: Filter,
    onProgress: (share: number) => void,
  ): Promise<Analysis> {
    const started = performance.now();
    opened = null;
    const { analyse, openSource } = await logs();
    const next = await openSource(source, reading, onProgress);
    filter = wanted;
    opened = next; // another filter may leave some rows
    return analyse(next, wanted, started).analysis;
  },

  /** The open log with another filter. */
  async filter(wanted: Filter): Promise<Analysis> {
    if (!opened) throw new Error('no log is open');
    filter = wanted;
    return (await logs()).analyse(opened, wanted, performance.now()).analysis;
  },

  async train(plan: Plan, report: OnTrain): Promise<TrainingOutcome> {
    const log = opened;
    if (!log) throw new Error('no log is open');
    return training(async (signal) => {
      const { prepareNew, runTraining } = await trainings();
      const prepared = await prepareNew(log, filter, plan);
      trained = prepared;
      return writing(prepared.files.where, () => runTraining(prepared, signal, report));
    });
  },

  async resume(id: string, report: OnTrain): Promise<TrainingOutcome> {
    (await recommending()).closeRecommender(id);
    return training(async (signal) => {
      const { prepareResume, runTraining } = await trainings();
      return writing(id, async () => {
        trained = await prepareResume(id, () => {});
        return runTraining(trained, signal, report);
      });
    });
  },

  /** Saves and stops after the current step; `resume` continues. */
  pause(): void {
    stopping?.abort();
  },

  /** Groups of the users and items of the training that ended last. */
  async groups() {
    if (!trained || stopping) throw new Error('no training has ended here');
    return (await import('./groups.ts')).compareGroups(trained);
  },

  models: listModels,
  async deleteModel(id: string): Promise<void> {
    (await recommending()).closeRecommender(id);
    await writing(id, () => removeModel(id));
  },
  importModel: async (source: ModelSource, name: string) => (await import('./travel.ts')).importFrom(source, name),
  exportModel: async (id: string, checkpoint: boolean) => (await import('./travel.ts')).packed(id, checkpoint),

  async openModel(id: string) {
    computed = true;
    return (await recommending()).openForRecommending(id);
  },
  recommend: async (query: RecommendQuery) => (await recommending()).recommend(query),
  personalize: async (history: readonly string[]) => (await recommending()).adaptTo(history),
  forget: async () => (await recommending()).recommender().forget(),

  map: async () => (await insides()).itemMap(),
  profile: async () => (await insides()).profileStep(),

  benchCases: async () => (await benches()).caseNames(),
  async bench(asked: BenchAsked, onCase: (name: string) => void) {
    computed = true;
    return (await benches()).runCases(asked, onCase);
  },
};

/** One training at a time in this tab, which has one device. */
async function training(work: (signal: AbortSignal) => Promise<TrainingOutcome>): Promise<TrainingOutcome> {
  if (stopping) throw new Error('a training runs already');
  const controller = new AbortController();
  stopping = controller;
  computed = true;
  try {
    return await work(controller.signal);
  } finally {
    stopping = null;
  }
}

export type WorkerApi = typeof api;
sendWholeErrors();
expose(api);
