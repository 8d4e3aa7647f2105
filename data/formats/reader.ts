import { candidates, duplicates, missingColumn, namedColumn } from './columns.ts';
import { InputError, option } from '../errors.ts';
import type { Format } from './format.ts';
import { GrowableArray, type Log, IdIndex } from '../log.ts';
import type { RecordSink } from './records.ts';
import { readRecords, type SourceOptions } from './source.ts';
import { type Encoding, latin1Of, displayText } from './text.ts';
import { TimeColumn } from './time-column.ts';

export interface ReadOptions {
  /**
   * column names, where the usual ones do not fit (--user-column and so on); `all`: those of a file without a header, in
   * order, as `user,item,rating` (--columns)
   */
  columns?: { user?: string; item?: string; time?: string; rating?: string; all?: string };
  /** names of other columns to read (device, shop, …) */
  context?: readonly string[];
  /** malformed rows to skip, with a note, before the log is refused; default 0 */
  maxBadRows?: number;
  /** see {@link SourceOptions} */
  openParquetWorker?: SourceOptions['openParquetWorker'];
  /** called with the bytes read so far, of all files together */
  onProgress?(bytes: number): void;
}

/** A file of a log: its bytes in order, e.g. a Node file stream or `file.stream()` in a browser. */
export interface LogFile {
  /** for messages */
  name: string;
  chunks: AsyncIterable<Uint8Array>;
}

/**
 * Reads an interaction log from a file's bytes: CSV, TSV and their like, with a header or without, RecBole atomic files,
 * MovieLens `::` files, JSON lines, SASRec text (`user item` a line, or a user and its items, in time order), each of them
 * gzip-compressed or not; and Parquet.
 *
 * A time is a number in any unit (an `order` column will do) or an ISO 8601 date, taken as UTC where it names no zone.
 * An empty time, −1 or a date that stands for none (9999-12-31) means unknown: such rows keep their file order at the start
 * of the user's history, so that they never become a target while the user has a dated event. Without a time column file
 * order is time order.
 *
 * @param source the file's name, for messages
 * @throws InputError for an empty or unreadable file, a missing column, times in several units, more malformed rows than
 * `maxBadRows`
 */
export function readLog(chunks: AsyncIterable<Uint8Array>, source: string, options: ReadOptions = {}): Promise<Log> {
  return readLogFiles([{ name: source, chunks }], source, options);
}

/** Reads several files as one log, in the order given. @param source what to call them all. @throws InputError */
export async function readLogFiles(files: Iterable<LogFile>, source: string, options: ReadOptions = {}): Promise<Log> {
  const builder = new LogBuilder(source, options);
  const { all, ...asked } = options.columns ?? {};
  const columns = all?.split(',').map((name) => name.trim());
  if (columns && columns.length < 2) {
    throw new InputError('invalid-value', 'expected the names of all columns, as user,item,rating,timestamp', {
      setting: 'columns.all',
      value: all,
    });
  }
  let before = 0;
  for (const { name, chunks } of files) {
    builder.open(name);
    let bytes = 0;
    await readRecords(chunks, name, builder, {
      columns,
      expected: Object.values(asked),
      openParquetWorker: options.openParquetWorker,
      onProgress: (done) => {
        bytes = done;
        options.onProgress?.(before + done);
      },
    });
    before += bytes;
  }
  return builder.finish();
}

type Role = 'user' | 'item' | 'time' | 'rating';
const ROLES: readonly Role[] = ['user', 'item', 'time', 'rating'];

/** Where each role is in a row; −1 for none. */
interface Places extends Record<Role, number> {
  count: number;
  names: string;
  context: number[];
}

/** IDs that are what programs write for a missing value. */
const MISSING_IDS = new Set([
  'NA',
  'N/A',
  'NaN',
  'nan',
  'null',
  'NULL',
  'None',
  'none',
  'nil',
  'undefined',
  '\\N',
  '<NA>',
]);

/** Malformed rows that are told one by one. */
const MOST_TOLD = 5;

class LogBuilder implements RecordSink {
  readonly #options: ReadOptions;
  readonly #source: string;
  /** the file that is being read */
  #file = '';
  #files = 0;
  readonly #users = new IdIndex();
  readonly #items = new IdIndex();
  readonly #user = new GrowableArray((n) => new Uint32Array(n));
  readonly #item = new GrowableArray((n) => new Uint32Array(n));
  readonly #rating = new GrowableArray((n) => new Float64Array(n));
  readonly #time = new TimeColumn();
  readonly #notes: string[] = [];
  readonly #context: { name: string; values: IdIndex; rows: GrowableArray<Uint32Array> }[];
  #places: Places = { count: 0, user: 0, item: 1, time: -1, rating: -1, names: '', context: [] };
  #columns: Log['columns'];
  #size = 0;
  #bad = 0;
  #unknownRatings = 0;
  /** rows of this file with bytes that are not UTF-8 */
  #escaped: { row: number; line: number }[] = [];
  readonly #dropped = new Set<number>();
  #latin1 = false;
  #utf8 = false;

  constructor(source: string, options: ReadOptions) {
    this.#source = source;
    this.#options = options;
    this.#context = (options.context ?? []).map((name) => ({
      name,
      values: new IdIndex(),
      rows: new GrowableArray((n) => new Uint32Array(n)),
    }));
  }

  open(file: string): void {
    this.#file = file;
    this.#files++;
    this.#escaped = [];
  }

  begin(format: Format): number[] {
    const places = this.#find(format);
    const { header } = format;
    const columns = Object.fromEntries(
      ROLES.map((role) => [role, places[role] < 0 ? null : header[places[role]]]),
    ) as unknown as NonNullable<Log['columns']>;
    if (this.#files === 1) {
      this.#columns = columns;
      this.#tellColumns(format, places);
    } else {
      for (const role of ['time', 'rating'] as const) {
        if ((columns[role] === null) === (this.#columns?.[role] === null)) continue;
        const which = columns[role] === null ? 'no' : 'a';
        throw new InputError(
          'unreadable-file',
          `${this.#file}: has ${which} ${role} column, unlike the files before it`,
          { hint: 'give them the same columns' },
        );
      }
    }
    this.#places = places;
    return [places.user, places.item];
  }

  row(fields: string[], line: number, escaped: boolean): void {
    const places = this.#places;
    if (fields.length !== places.count) {
      return this.bad(line, `expected ${places.count} fields (${places.names}), found ${fields.length}`);
    }
    const user = fields[places.user];
    const item = fields[places.item];
    if (user === '' || item === '') return this.bad(line, `the ${user === '' ? 'user' : 'item'} is empty`);
    let rating = Number.NaN;
    if (places.rating >= 0) {
      const text = fields[places.rating].trim();
      if (text !== '') {
        rating = Number(text);
        if (!Number.isFinite(rating)) return this.bad(line, `expected a number as rating, found ${quote(text)}`);
      }
    }
    if (places.time >= 0 && !this.#time.push(fields[places.time], this.#file, line)) {
      return this.bad(line, `expected a number or a date as time, found ${quote(fields[places.time])}`);
    }
    this.#user.push(this.#users.add(user));
    this.#item.push(this.#items.add(item));
    if (places.rating >= 0) {
      this.#rating.push(rating);
      if (Number.isNaN(rating)) this.#unknownRatings++;
    }
    for (let i = 0; i < this.#context.length; i++) {
      const { values, rows } = this.#context[i];
      rows.push(values.add(fields[places.context[i]].trim()));
    }
    if (escaped) this.#escaped.push({ row: this.#size, line });
    this.#size++;
  }

  bad(line: number, problem: string): void {
    this.#bad++;
    const where = `${this.#file}:${line}: ${problem}`;
    const allowed = this.#options.maxBadRows ?? 0;
    if (this.#bad > allowed) {
      const skipped = allowed > 0 ? `, after ${allowed} that were skipped` : '';
      throw new InputError('invalid-data', `${where}${skipped}`, {
        hint: `fix the row, or skip such rows with ${option('maxBadRows', 'N')}`,
      });
    }
    if (this.#bad <= MOST_TOLD) this.#notes.push(`skipped ${where}`);
  }

  note(text: string): void {
    this.#notes.push(text);
  }

  end(encoding: Encoding): void {
    const utf8 = encoding === 'utf-8' || encoding === 'damaged';
    if (this.#latin1 ? utf8 : encoding === 'latin1' && this.#utf8) {
      throw new InputError(
        'unreadable-file',
        `${this.#file}: is ${utf8 ? 'UTF-8' : 'Latin-1'}, unlike the files before it`,
        { hint: 'save all of them as UTF-8' },
      );
    }
    this.#utf8 ||= utf8;
    if (encoding === 'latin1') {
      this.#latin1 = true;
      this.#notes.push(`${this.#file}: is not UTF-8; it was read as Latin-1 (Windows-1252)`);
    } else {
      for (const { row, line } of this.#escaped) {
        this.bad(line, 'is not UTF-8, unlike the rest of the file');
        this.#dropped.add(row);
      }
    }
    this.#escaped = [];
  }

  finish(): Log {
    if (this.#size === this.#dropped.size) {
      throw new InputError(
        'too-little-data',
        `${this.#source}: no rows${this.#bad ? ' that can be read' : ' below the header'}`,
      );
    }
    const { times, unit, notes } = this.#time.finish();
    if (this.#bad > 0) this.#notes.push(`skipped ${countOf(this.#bad, 'row')} in all that could not be read`);
    for (const note of notes) this.#notes.push(note);
    if (this.#unknownRatings > 0) this.#notes.push(`${countOf(this.#unknownRatings, 'row')} without a rating`);
    const log: Log = {
      userIds: this.#decoded(this.#users.ids),
      itemIds: this.#decoded(this.#items.ids),
      user: this.#kept(this.#user.finish()),
      item: this.#kept(this.#item.finish()),
      rating: this.#places.rating >= 0 ? this.#kept(this.#rating.finish()) : null,
      time: this.#places.time >= 0 ? this.#kept(times) : null,
      ...(this.#places.time >= 0 && { timeUnit: unit }),
      ...(this.#context.length > 0 && {
        context: this.#context.map(({ name, values, rows }) => ({
          name,
          values: this.#decoded(values.ids),
          rows: this.#kept(rows.finish()),
        })),
      }),
      size: this.#size - this.#dropped.size,
      source: this.#source,
      columns: this.#columns,
      badRows: this.#bad,
      notes: this.#notes,
    };
    this.#tellIds(log);
    if (this.#latin1) log.notes = log.notes.map(displayText);
    return log;
  }

  /** A column without the rows that were dropped after they had been read. */
  #kept<A extends Uint32Array | Float64Array>(column: A): A {
    if (this.#dropped.size === 0) return column;
    return column.filter((_: number, row: number) => !this.#dropped.has(row)) as A;
  }

  #decoded(texts: string[]): string[] {
    return this.#latin1 ? texts.map(latin1Of) : texts;
  }

  #tellColumns({ header, named, kind }: Format, places: Places): void {
    if (kind === 'sequences') {
      this.#notes.push('each line is a user and its items, in time order');
      return;
    }
    const { all } = this.#options.columns ?? {};
    if (
      all !== undefined &&
      header.join() !==
        all
          .split(',')
          .map((name) => name.trim())
          .join()
    ) {
      this.#notes.push(
        `${this.#file}: has column names of its own, which count, not those of ${option('columns.all')}`,
      );
    }
    const taken = ROLES.filter((role) => places[role] >= 0).map((role) => `${role} ${quote(header[places[role]])}`);
    this.#notes.push(
      named
        ? `columns: ${taken.join(', ')}`
        : `no header: columns are taken as ${header.join(', ')} by their shape (${option('columns.all', 'NAME,NAME,...')} says otherwise)`,
    );
    if (places.time < 0) this.#notes.push('no time column: rows are taken to be in time order');
    for (const role of ROLES) {
      const others = candidates(header, role).filter(
        (at) => at !== places[role] && header[at] !== header[places[role]],
      );
      if (places[role] < 0 || others.length === 0 || this.#options.columns?.[role] !== undefined) continue;
      const names = others.map((at) => quote(header[at])).join(', ');
      this.#notes.push(
        `${role}: took ${quote(header[places[role]])}, not ${names} (${option(`columns.${role}`, 'NAME')} says otherwise)`,
      );
    }
    for (const name of duplicates(header)) {
      const count = header.filter((own) => own === name).length;
      this.#notes.push(`${count} columns are called ${quote(name)}: the first counts`);
    }
  }

  /** IDs that are likely to be mistakes. */
  #tellIds(log: Log): void {
    for (const [what, ids, column] of [
      ['user', log.userIds, log.user],
      ['item', log.itemIds, log.item],
    ] as const) {
      const lines = ids.find((id) => id.includes('\n'));
      if (lines !== undefined)
        log.notes.push(`a line break is in the ${what} ID ${quote(lines)} (is a quote left open?)`);
      const blanks = ids.filter((id) => id.trim() !== id);
      if (blanks.length > 0) {
        const which = blanks.length === 1 ? `ID begins or ends with a blank` : `IDs begin or end with a blank`;
        log.notes.push(
          `${blanks.length.toLocaleString('en')} ${what} ${which}, as ${quote(blanks[0])}: kept as written`,
        );
      }
      const missing = ids.flatMap((id, at) => (MISSING_IDS.has(id) ? [at] : []));
      for (const at of missing) {
        const count = column.reduce((sum, own) => sum + Number(own === at), 0);
        log.notes.push(
          `${countOf(count, 'row')} with the ${what} ${quote(ids[at])}: an ID like any other, so remove the rows where it stands for a missing one`,
        );
      }
    }
  }

  #find({ header, named }: Format): Places {
    const source = this.#file;
    const asked = this.#options.columns ?? {};
    const lacks = (setting: string, name: string) =>
      new InputError('missing-column', `${source}: has no header, so ${option(setting, name)} names nothing`, {
        setting,
        hint: `name its columns with ${option('columns.all', 'user,item,...')}`,
      });
    const find = (role: Role): number => {
      const name = asked[role];
      if (name === undefined) return candidates(header, role)[0] ?? -1;
      if (!named) throw lacks(`columns.${role}`, name);
      return namedColumn(header, name, role, source);
    };
    const places: Places = {
      user: find('user'),
      item: find('item'),
      time: find('time'),
      rating: find('rating'),
      count: header.length,
      names: header.join(', '),
      context: this.#context.map(({ name }) => {
        if (!named) throw lacks('reads', name);
        return namedColumn(header, name, 'context', source);
      }),
    };
    if (places.user < 0) throw missingColumn(header, 'user', source);
    if (places.item < 0) throw missingColumn(header, 'item', source);
    for (const [i, role] of ROLES.entries()) {
      const same = ROLES.slice(i + 1).find((other) => places[other] >= 0 && places[other] === places[role]);
      if (!same) continue;
      throw new InputError(
        'missing-column',
        `${source}: ${role} and ${same} are the same column, ${quote(header[places[role]])}`,
        { hint: `name another one with ${option(`columns.${role}`)} or ${option(`columns.${same}`)}` },
      );
    }
    return places;
  }
}

function countOf(n: number, what: string): string {
  return `${n.toLocaleString('en')} ${what}${n === 1 ? '' : 's'}`;
}

function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
