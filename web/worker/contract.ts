/** The messages between the page and its worker; all of them can be cloned. */
import type { Declarations } from '../../model/recipes/setting.ts';
import type { Metrics } from '../../train/evaluation/metrics.ts';
import type { TrainProgress, TrainResult } from '../../train/loop/options.ts';

/** Items of a list of recommendations. */
export const LISTED = 10;

export interface DeviceReport {
  backend: 'webgpu' | 'cpu';
  name: string;
  /** Why there is no WebGPU, and how to get it; null if there is. */
  missing: { what: string; how: string } | null;
  features: string[];
  /** Bytes of buffers alive. */
  bytes: number;
}

export type LogSource =
  | { kind: 'shop'; shoppers: number }
  | { kind: 'file'; file: File; items: File | null; users: File | null };

/** Columns of a log by role, as its header names them; those left out are detected. */
export type LogColumns = Partial<Record<Role, string>>;

export interface LogReading {
  columns: LogColumns;
  /** Rows that cannot be read and are left out, at most. */
  maxBadRows: number;
  /** Event context that is read: rating, gap, hour, weekday, other columns of the log. */
  events: readonly string[];
}

export interface Filter {
  minInteractions: number;
  minRating: number | null;
}

export type Role = 'user' | 'item' | 'time' | 'rating';

/** A preview of a file: its first rows, and the detected role of each column. */
export interface Preview {
  name: string;
  bytes: number;
  format: string;
  header: string[];
  /** Whether the file names its columns, so that other roles can be chosen. */
  named: boolean;
  rows: string[][];
  /** Index of each role's column; −1 for none. */
  roles: Record<Role, number>;
}

export interface Bin {
  label: string;
  users: number;
}

export interface Analysis {
  source: string;
  rows: number;
  users: number;
  items: number;
  interactions: number;
  removed: { byRating: number; interactions: number; users: number; items: number };
  /** Lowest and highest rating; null without ratings. */
  ratings: { least: number; most: number } | null;
  /** Range of the times, as dates if they are dates; null without times. */
  span: { from: string; to: string } | null;
  lengths: Bin[];
  medianLength: number;
  popular: { title: string; count: number }[];
  /** Items with a title. */
  titled: number;
  /** Users with columns in the users file. */
  described: number;
  lines: string[];
  seconds: number;
}

export interface SettingGroup {
  title: string;
  settings: Declarations;
}

/** What can be trained: the declarations of recipes and settings, as the page's form shows them. */
export interface FormChoices {
  recipes: { name: string; summary: string; settings: Record<string, number | string> }[];
  groups: SettingGroup[];
}

export interface Plan {
  name: string;
  /** null: by the size of the log. */
  recipe: string | null;
  /** As `--set` takes them. */
  settings: Record<string, string>;
  epochs: number | null;
  minutes: number | null;
  seed: number;
  includeSeen: boolean;
}

export interface ValidationPoint {
  step: number;
  metrics: Metrics;
}

export type TrainEvent =
  | {
      kind: 'started';
      model: string;
      device: string;
      about: string;
      baselines: Record<string, Metrics>;
      users: number;
      notes: string[];
      /** Of an earlier part of the same training. */
      earlier: { losses: [number, number][]; validations: ValidationPoint[] };
    }
  | ({ kind: 'progress'; at: number } & TrainProgress)
  | ({ kind: 'validation' } & ValidationPoint)
  | { kind: 'note'; text: string };

export type TrainingOutcome = Pick<TrainResult, 'reason' | 'step' | 'epoch' | 'bestNdcg' | 'seconds' | 'tokens'> & {
  model: string;
  metrics: Metrics | null;
  /** Of the parts of a blend, each alone. */
  components: Record<string, Metrics>;
};

/** The state of a training that was started here; models from elsewhere have none. */
export type RunState = 'running' | 'paused' | 'finished';

export interface ModelEntry {
  /** Folder in the origin's private file system. */
  id: string;
  name: string;
  recipe: string;
  source: string;
  created: string;
  users: number;
  items: number;
  interactions: number;
  device: string;
  state: RunState | null;
  /** Whether it has weights to recommend with. */
  ready: boolean;
  bytes: number;
  ndcg: number | null;
}
