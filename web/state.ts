/** The state of the page. */
import type { TrainProgress } from '../train/loop/options.ts';
import type { Metrics } from '../train/evaluation/metrics.ts';
import { createStore } from './store.ts';
import type {
  Analysis,
  DeviceReport,
  Filter,
  ModelEntry,
  Outcome,
  Preview,
  Reading,
  Source,
  ValidationPoint,
} from './worker/contract.ts';
import type { OpenedModel } from './worker/recommending.ts';

export interface DataState {
  source: Source | null;
  preview: Preview | null;
  reading: Reading;
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
  outcome: Outcome | null;
  error: string | null;
  /** Seconds that the tab was hidden while it trained, and steps done then. */
  hidden: { seconds: number; steps: number } | null;
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
