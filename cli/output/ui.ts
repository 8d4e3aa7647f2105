/// <reference path="./asciichart.d.ts" />
/** What the terminal shows: numbers for people, tables, a progress bar, a loss plot. Strings, but for the bar. */
import asciichart from 'asciichart';
import cliProgress from 'cli-progress';
import Table from 'cli-table3';
import { truncate, visible } from '../../data/visible.ts';

/** 12,345; with a fraction only below 100. */
export function formatCount(n: number): string {
  return n.toLocaleString('en-US', { maximumFractionDigits: Math.abs(n) < 100 ? 1 : 0 });
}

/** 0.4 s · 12 s · 3 min 05 s · 2 h 10 min; `?` when unknown. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return '?';
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const pad = (n: number) => String(n).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
}

/** 512 B · 1.5 KB · 300 MB (powers of 1024). */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let value = bytes;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** A metric such as NDCG@10: 0.1234. */
export function formatMetric(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : value.toFixed(4);
}

/** Characters of a name that are shown. */
const SHOWN = 200;

/** A name, a title or a path in a report: in one line, control characters visible, long ones cut. */
export function printable(text: string): string {
  return truncate(visible(text.trim()), SHOWN);
}

/** A plain table, the first column to the left, numbers to the right; no colors, so that it can be copied. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const right = head.map(
    (_, column) => column > 0 && rows.every((row) => /^[-+]?[\d.,]+%?$|^–?$/.test(`${row[column]}`)),
  );
  const lines = new Table({
    head: [...head],
    colAligns: right.map((yes) => (yes ? 'right' : 'left')),
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 2 },
    chars: Object.fromEntries(BORDERS.map((name) => [name, ''])),
  });
  for (const row of rows) lines.push(row.map((cell) => (typeof cell === 'number' ? cell : printable(cell))));
  return lines
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

const BORDERS = [
  'top',
  'top-mid',
  'top-left',
  'top-right',
  'bottom',
  'bottom-mid',
  'bottom-left',
  'bottom-right',
  'left',
  'left-mid',
  'mid',
  'mid-mid',
  'right',
  'right-mid',
  'middle',
] as const;

/** Metrics side by side: a row for each recommender, a column for each metric. */
export function metricsTable(
  recommenders: Readonly<Record<string, Readonly<Record<string, number>>>>,
  columns: readonly string[] = ['NDCG@10', 'HR@10', 'MRR'],
): string {
  const rows = Object.entries(recommenders).map(([name, metrics]) => [
    name,
    ...columns.map((name) => formatMetric(metrics[name])),
  ]);
  return table(['', ...columns], rows);
}

/**
 * The losses of a training as a small line plot; values are averaged down to the width. Steps whose loss is not a
 * number are left out; fewer than two points give an empty string.
 */
export function lossPlot(
  losses: ArrayLike<number>,
  size: { width?: number; height?: number; title?: string } = {},
): string {
  const { width = 60, height = 8, title = 'loss' } = size;
  const finite = Array.from(losses).filter(Number.isFinite);
  if (finite.length < 2) return '';
  const points = Math.min(width, finite.length);
  const series = Array.from({ length: points }, (_, i) => {
    const from = Math.floor((i * finite.length) / points);
    const to = Math.floor(((i + 1) * finite.length) / points);
    return finite.slice(from, to).reduce((sum, x) => sum + x, 0) / (to - from);
  });
  const plot = asciichart.plot(series, { height, offset: 2, format: (value) => value.toFixed(3).padStart(8) });
  const lines = plot.split('\n').map((line) => line.trimEnd());
  return `${title} over ${formatCount(finite.length)} points\n${lines.join('\n')}`;
}

/** What is shown after the bar. */
export interface ProgressState {
  /** What it is doing, as `compiling kernels` or `epoch 3`. */
  phase?: string;
  loss?: number;
  tokensPerSecond?: number;
  secondsLeft?: number;
}

export interface Progress {
  /** Moves the bar to `value` of the total; what `state` leaves out stays as it was. */
  update(value: number, state?: ProgressState): void;
  setTotal(total: number): void;
  /** Prints a line above the bar (to the same stream; dropped when silent). */
  note(line: string): void;
  /** Ends the bar; further calls do nothing. */
  stop(): void;
}

/** Seconds before an estimate of the time left is worth showing. */
const SOON = 2;

/** The time left of a phase, from the share of it that is done. */
export class TimeLeft {
  private phase = '';
  private from = { time: 0, done: 0 };

  /** @param done 0 to 1, of the phase @returns seconds; undefined as long as little is known */
  of(phase: string, done: number, now = performance.now()): number | undefined {
    if (phase !== this.phase || done < this.from.done) {
      this.phase = phase;
      this.from = { time: now, done };
    }
    const seconds = (now - this.from.time) / 1000;
    const share = done - this.from.done;
    return seconds >= SOON && share > 0 ? (seconds * (1 - done)) / share : undefined;
  }
}

type Stream = NodeJS.WritableStream & { isTTY?: boolean };

/**
 * A progress bar on standard error. Without a terminal it is silent, unless `force` is set: then it prints a line
 * every ten seconds. Stop it in a `finally`: until then its timer keeps the process alive.
 */
export function createProgress(options: { total: number; force?: boolean; stream?: Stream }): Progress {
  const stream = options.stream ?? (process.stderr as Stream);
  if (!stream.isTTY && !options.force) return { update() {}, setTotal() {}, note() {}, stop() {} };
  const bar = new cliProgress.SingleBar({
    stream,
    format: '{phase} [{bar}] {percentage}%{detail}',
    barCompleteChar: '█',
    barIncompleteChar: '·',
    barsize: 24,
    fps: 5,
    hideCursor: false,
    noTTYOutput: options.force === true,
    notTTYSchedule: 10_000,
  });
  let state: ProgressState = {};
  const left = new TimeLeft();
  let active = true;
  const payload = () => ({ phase: state.phase ?? 'working', detail: detailOf(state) });
  bar.start(Math.max(1, options.total), 0, payload());
  return {
    update(value, next = {}) {
      if (!active) return;
      const phase = next.phase ?? state.phase ?? '';
      state = { secondsLeft: left.of(phase, value / bar.getTotal()), ...withoutTime(state), ...next };
      bar.update(Math.min(value, bar.getTotal()), payload());
    },
    setTotal(total) {
      if (active) bar.setTotal(Math.max(1, total));
    },
    note(line) {
      if (active) stream.write(stream.isTTY ? `\r\u001b[K${visible(line)}\n` : `${visible(line)}\n`);
    },
    stop() {
      if (!active) return;
      active = false;
      bar.stop();
    },
  };
}

const withoutTime = ({ secondsLeft: _, ...state }: ProgressState): ProgressState => state;

function detailOf({ loss, tokensPerSecond, secondsLeft }: ProgressState): string {
  let detail = '';
  if (loss !== undefined) detail += ` · loss ${loss.toFixed(3)}`;
  if (tokensPerSecond !== undefined) detail += ` · ${formatCount(Math.round(tokensPerSecond))} tokens/s`;
  if (secondsLeft !== undefined) detail += ` · ${formatDuration(secondsLeft)} left`;
  return detail;
}
