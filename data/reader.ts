import { findColumn, missingColumn, namedColumn } from './columns.ts';
import { InputError } from './errors.ts';
import type { Format } from './format.ts';
import { Growing, type Log, Vocabulary } from './log.ts';
import type { RecordSink } from './records.ts';
import { readRecords } from './source.ts';
import { parseTime } from './times.ts';

export interface ReadOptions {
  /** column names, where the usual ones do not fit (--user-column and so on) */
  columns?: { user?: string; item?: string; time?: string; rating?: string };
  /** names of other columns to read (device, shop, …) */
  context?: readonly string[];
  /** malformed rows to skip, with a note, before the log is refused; default 0 */
  maxBadRows?: number;
  /** called with the bytes read so far */
  onProgress?(bytes: number): void;
}

/**
 * Reads an interaction log from a file's bytes: CSV or TSV with a header, RecBole atomic files, MovieLens `::` files
 * and SASRec text (`user item` a line, in time order), each of them gzip-compressed or not; and Parquet.
 *
 * A time is a number in any unit (an `order` column will do) or an ISO 8601 date, taken as UTC where it names no zone.
 * An empty time or −1 means unknown: such rows keep their file order at the start of the user's history, so that they
 * never become a target while the user has a dated event. Without a time column file order is time order.
 *
 * @param chunks the file's bytes in order, e.g. a Node file stream or `file.stream()` in a browser
 * @param source the file's name, for messages
 * @throws InputError for an empty or unreadable file, a missing column, more malformed rows than `maxBadRows`
 */
export async function readLog(
  chunks: AsyncIterable<Uint8Array>,
  source: string,
  options: ReadOptions = {},
): Promise<Log> {
  const builder = new LogBuilder(source, options);
  await readRecords(chunks, source, builder, { onProgress: options.onProgress });
  return builder.finish();
}

/** Where each role stands in a row; −1 for none. */
interface Places {
  count: number;
  user: number;
  item: number;
  time: number;
  rating: number;
  names: string;
  context: number[];
}

class LogBuilder implements RecordSink {
  readonly #source: string;
  readonly #options: ReadOptions;
  readonly #users = new Vocabulary();
  readonly #items = new Vocabulary();
  readonly #user = new Growing((n) => new Uint32Array(n));
  readonly #item = new Growing((n) => new Uint32Array(n));
  readonly #rating = new Growing((n) => new Float64Array(n));
  readonly #time = new Growing((n) => new Float64Array(n));
  readonly #notes: string[] = [];
  readonly #context: { name: string; values: Vocabulary; rows: Growing<Uint32Array> }[];
  #places: Places = { count: 0, user: 0, item: 1, time: -1, rating: -1, names: '', context: [] };
  #size = 0;
  #bad = 0;
  #unknownTimes = 0;
  #unknownRatings = 0;

  constructor(source: string, options: ReadOptions) {
    this.#source = source;
    this.#options = options;
    this.#context = (options.context ?? []).map((name) => ({
      ...{ name, values: new Vocabulary(), rows: new Growing((n) => new Uint32Array(n)) },
    }));
  }

  begin(format: Format): void {
    this.#places = format.header ? this.#find(format.header) : this.#fixed(format);
    if (this.#places.time < 0) this.#notes.push('no time column: rows are taken to be in time order');
  }

  row(fields: string[], line: number): void {
    const places = this.#places;
    if (places.count === 0) this.#countMovieLens(fields.length, line);
    if (fields.length !== places.count) {
      return this.bad(line, `expected ${places.count} fields (${places.names}), found ${fields.length}`);
    }
    const user = fields[places.user];
    const item = fields[places.item];
    if (user === '' || item === '') return this.bad(line, `the ${user === '' ? 'user' : 'item'} is empty`);
    let time = Number.NaN;
    if (places.time >= 0) {
      const text = fields[places.time].trim();
      if (text === '' || text === '-1' || text === '-1.0') this.#unknownTimes++;
      else {
        time = parseTime(text);
        if (Number.isNaN(time)) return this.bad(line, `expected a number or a date as time, found ${quote(text)}`);
      }
    }
    let rating = Number.NaN;
    if (places.rating >= 0) {
      const text = fields[places.rating].trim();
      if (text === '') this.#unknownRatings++;
      else {
        rating = Number(text);
        if (!Number.isFinite(rating)) return this.bad(line, `expected a number as rating, found ${quote(text)}`);
      }
    }
    this.#user.push(this.#users.add(user));
    this.#item.push(this.#items.add(item));
    if (places.time >= 0) this.#time.push(time);
    if (places.rating >= 0) this.#rating.push(rating);
    this.#context.forEach(({ values, rows }, i) => {
      rows.push(values.add(fields[places.context[i]].trim()));
    });
    this.#size++;
  }

  bad(line: number, problem: string): void {
    this.#bad++;
    const where = `${this.#source}:${line}: ${problem}`;
    const allowed = this.#options.maxBadRows ?? 0;
    if (this.#bad > allowed) {
      const skipped = allowed > 0 ? `, after ${allowed} that were skipped` : '';
      throw new InputError(`${where}${skipped}; mend the row, or skip such rows with --max-bad-rows N`);
    }
    if (this.#bad <= 5) this.#notes.push(`skipped ${where}`);
  }

  finish(): Log {
    if (this.#size === 0) {
      throw new InputError(`${this.#source}: no rows${this.#bad ? ' that can be read' : ' below the header'}`);
    }
    const rows = (n: number) => `${n.toLocaleString('en')} row${n === 1 ? '' : 's'}`;
    if (this.#bad > 0) this.#notes.push(`skipped ${rows(this.#bad)} in all that could not be read`);
    if (this.#unknownTimes > 0) {
      const which = this.#unknownTimes === 1 ? 'has' : 'have';
      this.#notes.push(
        `${rows(this.#unknownTimes)} ${which} no time (empty or -1): they come first in their user's history, in file order`,
      );
    }
    if (this.#unknownRatings > 0) {
      this.#notes.push(`${rows(this.#unknownRatings)} without a rating`);
    }
    return {
      userIds: this.#users.ids,
      itemIds: this.#items.ids,
      user: this.#user.finish(),
      item: this.#item.finish(),
      rating: this.#places.rating >= 0 ? this.#rating.finish() : null,
      time: this.#places.time >= 0 ? this.#time.finish() : null,
      ...(this.#context.length > 0 && {
        context: this.#context.map(({ name, values, rows }) => ({ name, values: values.ids, rows: rows.finish() })),
      }),
      size: this.#size,
      source: this.#source,
      notes: this.#notes,
    };
  }

  #find(header: string[]): Places {
    const asked = this.#options.columns ?? {};
    const find = (role: 'user' | 'item' | 'time' | 'rating'): number => {
      const name = asked[role];
      return name === undefined ? findColumn(header, role) : namedColumn(header, name, role, this.#source);
    };
    const places = {
      ...{ user: find('user'), item: find('item'), time: find('time'), rating: find('rating') },
      ...{ count: header.length, names: header.join(', ') },
      context: this.#context.map(({ name }) => namedColumn(header, name, 'context', this.#source)),
    };
    if (places.user < 0) throw missingColumn(header, 'user', this.#source);
    if (places.item < 0) throw missingColumn(header, 'item', this.#source);
    return places;
  }

  /** Files without a header: the places are the format's. */
  #fixed(format: Format): Places {
    const flag = Object.entries(this.#options.columns ?? {}).find(([, name]) => name !== undefined);
    if (flag) {
      throw new InputError(`${this.#source}: has no header, so --${flag[0]}-column ${flag[1]} names nothing`);
    }
    const [context] = this.#context;
    if (context) throw new InputError(`${this.#source}: has no header, so --events ${context.name} names nothing`);
    const plain = { user: 0, item: 1, context: [] };
    if (format.kind === 'pairs') return { ...plain, count: 2, time: -1, rating: -1, names: 'user item' };
    return { ...plain, count: 0, time: 3, rating: 2, names: 'user::item::rating::time' };
  }

  /** MovieLens' `::` files come with or without ratings and times: the first row says which. */
  #countMovieLens(count: number, line: number): void {
    if (count < 2 || count > 4) {
      throw new InputError(`${this.#source}:${line}: expected user::item::rating::time, found ${count} fields`);
    }
    this.#places.count = count;
    this.#places.names = ['user', 'item', 'rating', 'time'].slice(0, count).join('::');
    if (count < 4) {
      this.#places.time = -1;
      this.#notes.push('no time column: rows are taken to be in time order');
    }
    if (count < 3) this.#places.rating = -1;
  }
}

function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
