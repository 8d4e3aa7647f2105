/** The times of a log: read value by value; all of them together determine their unit. */
import { InputError } from '../errors.ts';
import { columnBlocks, type ValueColumn, mapped } from '../column.ts';
import { type ColumnStore, type ColumnWriter, memoryStore } from '../log.ts';
import { PER_SECOND, parseDate, type TimeUnit, unitOf } from './times.ts';

/** What is written for an unknown time. */
const MISSING = new Set(['', '-1', '-1.0', 'null', 'none', 'nan', 'nat', 'na', 'n/a', '\\n', '-']);

type Epoch = 's' | 'ms' | 'us' | 'ns';
const EPOCHS: readonly Epoch[] = ['s', 'ms', 'us', 'ns'];
const NAMES: Readonly<Record<Epoch, string>> = {
  s: 'seconds',
  ms: 'milliseconds',
  us: 'microseconds',
  ns: 'nanoseconds',
};

/** The unit in which a number is a time of 1973 to 2286; −1 if there is none. The bands do not overlap. */
function bandOf(size: number): number {
  if (size < 1e8) return -1;
  if (size < 1e10) return 0;
  if (size < 1e13) return size >= 1e11 ? 1 : -1;
  if (size < 1e16) return size >= 1e14 ? 2 : -1;
  return size >= 1e17 && size < 1e19 ? 3 : -1;
}

const DAY = 86_400;
const YEAR_9999 = 253_402_214_400;
const YEAR_1 = -62_135_596_800;
const INT32 = 2 ** 31 - 1;

/** The date or number that stands for "never" or "unknown" in data of this unit; null for a time. */
function sentinel(time: number, unit: TimeUnit): string | null {
  const seconds = time / PER_SECOND[unit];
  if (seconds >= YEAR_9999 && seconds < YEAR_9999 + DAY) return '9999-12-31';
  if (seconds >= YEAR_1 && seconds < YEAR_1 + DAY) return '0001-01-01';
  if (Math.abs(time) >= 2 ** 63) return 'the largest integer of 64 bits';
  if ((time === INT32 || time === -INT32 - 1) && (unit === 's' || unit === 'order')) {
    return 'the largest integer of 32 bits';
  }
  return null;
}

/** Whether a number is a sentinel in some unit. */
function mayBeSentinel(time: number): boolean {
  if (time < INT32) return time < 0 && EPOCHS.some((unit) => sentinel(time, unit) !== null);
  if (time === INT32 || time >= 2 ** 63) return true;
  // In seconds, where a division by thousands leads there.
  let seconds = time;
  while (seconds >= 1e3 * YEAR_9999) seconds /= 1e3;
  return seconds >= YEAR_9999 && seconds < YEAR_9999 + DAY;
}

/** What was read, in the column's own unit. */
export interface Times {
  times: ValueColumn<Float64Array>;
  unit: TimeUnit;
  notes: string[];
}

export class TimeColumn {
  readonly #times: ColumnWriter<Float64Array>;
  /** where the first time of each unit is, and the first that may be a sentinel */
  readonly #first: (string | null)[] = [null, null, null, null];
  readonly #doubtful: (string | null)[] = [null, null, null, null];
  #date: string | null = null;
  #number: string | null = null;
  #most = 0;
  #missing = 0;
  #zeroDates = 0;

  constructor(store: ColumnStore = memoryStore) {
    this.#times = store.f64();
  }

  /** @returns false if the text is neither a time nor a missing value. @throws InputError for a mixture */
  push(text: string, source: string, line: number): boolean {
    const number = Number(text);
    if (Number.isNaN(number) || number === -1 || (number === 0 && text.trim() === '')) {
      return this.#pushText(text.trim(), source, line);
    }
    if (!Number.isFinite(number)) return false;
    if (this.#number === null) {
      this.#number = `${source}:${line}: ${text.trim()}`;
      this.#refuseMixture();
    }
    const size = Math.abs(number);
    const band = bandOf(size);
    if (mayBeSentinel(number)) {
      if (band >= 0) this.#doubtful[band] ??= `${source}:${line}: ${text.trim()}`;
    } else {
      if (size > this.#most) this.#most = size;
      if (band >= 0 && this.#first[band] === null) this.#first[band] = `${source}:${line}: ${text.trim()}`;
    }
    this.#times.push(number);
    return true;
  }

  #pushText(text: string, source: string, line: number): boolean {
    if (text.length < 5 && MISSING.has(text.toLowerCase())) {
      this.#missing++;
      this.#times.push(Number.NaN);
      return true;
    }
    if (text.startsWith('0000-00-00')) {
      this.#zeroDates++;
      this.#times.push(Number.NaN);
      return true;
    }
    const date = parseDate(text);
    if (Number.isNaN(date)) return false;
    if (this.#date === null) {
      this.#date = `${source}:${line}: ${text}`;
      this.#refuseMixture();
    }
    this.#times.push(date);
    return true;
  }

  #refuseMixture(): void {
    if (this.#date === null || this.#number === null) return;
    throw new InputError('invalid-data', `the times are dates (${this.#date}) and numbers (${this.#number})`, {
      hint: 'write them all one way',
    });
  }

  /** @throws InputError for epochs in several units */
  finish(): Times {
    const units = EPOCHS.filter((_, band) => this.#first[band] !== null);
    const unit: TimeUnit = this.#date !== null ? 'ms' : (units[0] ?? unitOf(this.#most));
    const times = this.#times.finish();
    const found = new Map<string, number>();
    const others = new Set(units);
    for (const block of columnBlocks(times)) {
      for (let i = 0; i < block.length; i++) {
        const time = block[i] as number;
        if (Number.isNaN(time) || (time < INT32 && time >= 0)) continue;
        const name = sentinel(time, unit);
        if (name !== null) found.set(name, (found.get(name) ?? 0) + 1);
        else if (this.#date === null && mayBeSentinel(time)) {
          const band = bandOf(Math.abs(time));
          const epoch = EPOCHS[band];
          if (epoch !== undefined) {
            others.add(epoch);
            this.#first[band] ??= this.#doubtful[band] ?? null;
          }
        }
      }
    }
    const known = (time: number): number => (sentinel(time, unit) === null ? time : Number.NaN);
    const kept = found.size > 0 ? mapped(times, known) : times;
    if (this.#date === null && others.size > 1) {
      const said = EPOCHS.filter((one) => others.has(one)).map(
        (one) => `${NAMES[one]} (${this.#first[EPOCHS.indexOf(one)]})`,
      );
      throw new InputError('invalid-data', `the times are in ${said.join(' and in ')}`, {
        hint: 'write them all in one unit',
      });
    }
    if (this.#zeroDates > 0) found.set('0000-00-00', this.#zeroDates);
    return { times: kept, unit, notes: this.#notes(found) };
  }

  #notes(sentinels: ReadonlyMap<string, number>): string[] {
    const notes: string[] = [];
    for (const [name, count] of sentinels) {
      notes.push(`${rows(count)} the time ${name}, which is treated as unknown`);
    }
    const unknown = [...sentinels.values()].reduce((sum, count) => sum + count, this.#missing);
    if (unknown > 0) {
      notes.push(
        `${rows(unknown)} no time${this.#missing > 0 ? ' (empty or -1)' : ''}: they come first in their user's history, in file order`,
      );
    }
    return notes;
  }
}

const rows = (count: number): string => `${count.toLocaleString('en')} row${count === 1 ? ' has' : 's have'}`;
