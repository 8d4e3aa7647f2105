/** The state of the page. */
import type { TrainProgress } from '../train/loop/options.ts';
import type { Metrics } from '../train/evaluation/metrics.ts';
import { createStore } from './store.ts';
import type {
  Analysis,
  DeviceReport,
  Filter,
  LogReading,
  LogSource,
  ModelEntry,
  Plan,
  Preview,
  FormChoices,
  TrainingOutcome,
  ValidationPoint,
} from './worker/contract.ts';
import type { OpenedModel } from './worker/recommending.ts';

export interface DataState {
  source: LogSource | null;
  preview: Preview | null;
  reading: LogReading;
  filter: Filter;
  /** 0 to 1 while a log is read; null otherwise. */
  reads: number | null;
  analysis: Analysis | null;
  error: string | null;
}

export const dataState = createStore<DataState>({
  source: null,
  preview: null,
  reading: { columns: {}, maxBadRows: 0, events: [] },
  filter: { minInteractions: 5, minRating: null },
  reads: null,
  analysis: null,
  error: null,
});

export interface TrainingState {
  /** Folder of the model that is being trained or was trained last. */
  model: string | null;
  status: 'idle' | 'preparing' | 'running' | 'pausing' | 'paused' | 'done' | 'failed';
  device: string;
  about: string;
  notes: string[];
  baselines: Record<string, Metrics>;
  users: number;
  losses: [step: number, loss: number][];
  validations: ValidationPoint[];
  progress: TrainProgress | null;
  outcome: TrainingOutcome | null;
  error: TrainingError | null;
  /** Seconds that the tab was hidden while it trained, and steps done then. */
  hidden: { seconds: number; steps: number } | null;
}

export interface TrainingError {
  text: string;
  /** Whether the device failed, and a new one may do. */
  device: boolean;
}

export const NOT_TRAINING: TrainingState = {
  model: null,
  status: 'idle',
  device: '',
  about: '',
  notes: [],
  baselines: {},
  users: 0,
  losses: [],
  validations: [],
  progress: null,
  outcome: null,
  error: null,
  hidden: null,
};

export const trainingState = createStore<TrainingState>(NOT_TRAINING);

/** What the visitor has filled in on the page Train. */
export interface PlanState {
  plan: Plan;
  /** What can be filled in; null until the worker has said. */
  form: FormChoices | null;
  /** Why the plan was not started, and the setting at fault. */
  refused: { text: string; setting: string | undefined } | null;
}

/** Customers of a shop buy the same items again. */
export const newPlan = (source: LogSource | null): Plan => ({
  name: source?.kind === 'file' ? source.file.name.replace(/\.\w+(\.gz)?$/, '') : 'demo-shop',
  recipe: null,
  settings: {},
  epochs: null,
  minutes: null,
  seed: 1,
  includeSeen: source?.kind === 'shop',
});

export const planState = createStore<PlanState>({ plan: newPlan(null), form: null, refused: null });

export interface AppState {
  device: DeviceReport | null;
  models: ModelEntry[] | null;
  /** Why models cannot be stored here; null if they can. */
  modelsError: string | null;
}

export const appState = createStore<AppState>({ device: null, models: null, modelsError: null });

/** The open model and the history; shared by the pages Recommend and Look inside. */
export interface AskState {
  model: OpenedModel | null;
  /** Folder of the model that is open or being opened. */
  id: string | null;
  error: string | null;
  /** Item IDs, oldest first. */
  history: string[];
  /** The open model's adaptation to the visitor: events and their loss; null if it is not adapted. */
  adapted: { events: number; before: number; after: number } | null;
}

export const askState = createStore<AskState>({ model: null, id: null, error: null, history: [], adapted: null });
