import type { ValueColumn, ColumnValues } from '../column.ts';
import { candidates, columnNamed, duplicates, missingColumn, namedColumn } from './columns.ts';
import { InputError, option } from '../errors.ts';
import type { Format } from './format.ts';
import { type ColumnStore, type ColumnWriter, IdIndex, type Log, memoryStore, type StoredLog } from '../log.ts';
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
  /** other columns to read (device, shop, …) */
  context?: readonly string[];
  /** one of them, which files without that column have by their name: `shop` of `logs/shop.csv.gz` */
  namedByFile?: string;
  /** malformed rows that are skipped, with a note; more are an error; default 0 */
  maxBadRows?: number;
  /** see {@link SourceOptions} */
  openParquetWorker?: SourceOptions['openParquetWorker'];
  /** called with the bytes read so far, of all files together, and the rows of sources that are no files */
  onProgress?(bytes: number, rows: number): void;
}

/** A file of a log: its bytes in order, e.g. a Node file stream or `file.stream()` in a browser. */
export interface LogFile {
  /** for messages */
  name: string;
  chunks: AsyncIterable<Uint8Array>;
}

/** Rows of a log that are no file's to parse: those of a database (interop/sources). */
export interface LogRows {
  /** for messages */
  name: string;
  /**
   * Gives the rows to a sink, as a file's are.
   * @param tick called with the rows so far as they arrive, and while they are waited for; it may throw to stop
   */
  rows(sink: RecordSink, tick: (rows: number) => void): Promise<void>;
}

/**
 * Reads an interaction log from a file's bytes: CSV, TSV and the like, with or without a header, RecBole atomic files,
 * MovieLens `::` files, JSON lines, SASRec text (`user item` lines, or a user and its items, in time order), each
 * optionally gzip-compressed; and Parquet.
 *
 * A time is a number in any unit (an `order` column will do) or an ISO 8601 date, UTC unless it names a zone. An empty
 * time, −1 or a placeholder date (9999-12-31) means unknown: such rows keep their file order at the start of the user's
 * history, so that they are not targets if the user has a dated event. Without a time column file order is time order.
 *
 * @param source the file's name, for messages
 * @throws InputError for an empty or unreadable file, a missing column, times in several units, more malformed rows than
 * `maxBadRows`
 */
export function readLog(chunks: AsyncIterable<Uint8Array>, source: string, options: ReadOptions = {}): Promise<Log> {
  return readLogFiles([{ name: source, chunks }], source, options);
}

/** Reads several files as one log, in the order given. @param source name of all of them. @throws InputError */
export async function readLogFiles(
  files: Iterable<LogFile | LogRows>,
  source: string,
  options: ReadOptions = {},
): Promise<Log> {
  return (await readStoredLog(files, source, options, memoryStore)) as Log;
}

/** As `readLogFiles`, with the rows in the columns of a store. @throws InputError */
export async function readStoredLog(
  files: Iterable<LogFile | LogRows>,
  source: string,
  options: ReadOptions,
  store: ColumnStore,
): Promise<StoredLog> {
  const builder = new LogBuilder(source, options, store);
  const { all, ...asked } = options.columns ?? {};
  const columns = all?.split(',').map((name) => name.trim());
  if (columns && columns.length < 2) {
    throw new InputError('invalid-value', 'expected the names of all columns, as user,item,rating,timestamp', {
      setting: 'columns.all',
      value: all,
    });
  }
  let [before, rowsBefore] = [0, 0];
  for (const file of files) {
    builder.open(file.name);
    if ('rows' in file) {
      let rows = 0;
      await file.rows(builder, (done) => {
        rows = done;
        options.onProgress?.(before, rowsBefore + done);
      });
      rowsBefore += rows;
      continue;
    }
    let bytes = 0;
    await readRecords(file.chunks, file.name, builder, {
      ...(columns && { columns }),
      expected: Object.values(asked),
      ...(options.openParquetWorker && { openParquetWorker: options.openParquetWorker }),
      onProgress: (done) => {
        bytes = done;
        options.onProgress?.(before + done, rowsBefore);
      },
    });
    before += bytes;
  }
  return builder.finish();
}

type Role = 'user' | 'item' | 'time' | 'rating';
const ROLES: readonly Role[] = ['user', 'item', 'time', 'rating'];

/** The index of each role in a row; −1 for none. */
interface ColumnIndex extends Record<Role, number> {
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

/** Malformed rows that are reported one by one. */
const MAX_REPORTED = 5;

/** Makes a log of the rows that it is given. */
export class LogBuilder implements RecordSink {
  readonly #options: ReadOptions;
  readonly #source: string;
  /** the file being read */
  #file = '';
  /** its name without folder and extensions */
  #stem = '';
  #files = 0;
  readonly #users = new IdIndex();
  readonly #items = new IdIndex();
  readonly #store: ColumnStore;
  readonly #user: ColumnWriter<Uint32Array>;
  readonly #item: ColumnWriter<Uint32Array>;
  readonly #rating: ColumnWriter<Float64Array>;
  readonly #time: TimeColumn;
  readonly #notes: string[] = [];
  readonly #context: { name: string; values: IdIndex; rows: ColumnWriter<Uint32Array> }[];
  #index: ColumnIndex = { count: 0, user: 0, item: 1, time: -1, rating: -1, names: '', context: [] };
  #columns: Log['columns'];
  #size = 0;
  #bad = 0;
  #unknownRatings = 0;
  /** rows of this file with bytes that are not UTF-8 */
  #escaped: { row: number; line: number }[] = [];
  readonly #dropped = new Set<number>();
  #latin1 = false;
  #utf8 = false;

  constructor(source: string, options: ReadOptions, store: ColumnStore) {
    this.#source = source;
    this.#options = options;
    this.#store = store;
    this.#user = store.u32();
    this.#item = store.u32();
    this.#rating = store.f64();
    this.#time = new TimeColumn(store);
    this.#context = (options.context ?? []).map((name) => ({
      name,
      values: new IdIndex(),
      rows: store.u32(),
    }));
  }

  open(file: string): void {
    this.#file = file;
    const name = file.replace(/^.*[\\/]/s, '');
    this.#stem = name.replace(/\.(gz|zst|br|lz4)$/i, '').replace(/(?!^)\.[^.]*$/, '');
    this.#files++;
    this.#escaped = [];
  }

  begin(format: Format): number[] {
    const index = this.#find(format);
    const { header } = format;
    const columns = Object.fromEntries(
      ROLES.map((role) => [role, header[index[role]] ?? null]),
    ) as unknown as NonNullable<Log['columns']>;
    if (this.#files === 1) {
      this.#columns = columns;
      this.#noteColumns(format, index);
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
    this.#index = index;
    return [index.user, index.item];
  }

  reads(column: number): boolean {
    return ROLES.some((role) => this.#index[role] === column) || this.#index.context.includes(column);
  }

  row(fields: string[], line: number, escaped: boolean): void {
    const index = this.#index;
    if (fields.length !== index.count) {
      return this.bad(line, `expected ${index.count} fields (${index.names}), found ${fields.length}`);
    }
    const user = fields[index.user];
    const item = fields[index.item];
    if (!user || !item) return this.bad(line, `the ${user ? 'item' : 'user'} is empty`);
    let rating = Number.NaN;
    if (index.rating >= 0) {
      const text = fields[index.rating]?.trim();
      if (text) {
        rating = Number(text);
        if (!Number.isFinite(rating)) return this.bad(line, `expected a number as rating, found ${quote(text)}`);
      }
    }
    const time = fields[index.time];
    if (time !== undefined && !this.#time.push(time, this.#file, line)) {
      return this.bad(line, `expected a number or a date as time, found ${quote(time)}`);
    }
    this.#user.push(this.#users.add(user));
    this.#item.push(this.#items.add(item));
    if (index.rating >= 0) {
      this.#rating.push(rating);
      if (Number.isNaN(rating)) this.#unknownRatings++;
    }
    for (const [i, { values, rows }] of this.#context.entries()) {
      const at = index.context[i] as number;
      rows.push(values.add(at < 0 ? this.#stem : (fields[at] as string).trim()));
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
    if (this.#bad <= MAX_REPORTED) this.#notes.push(`skipped ${where}`);
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

  finish(): StoredLog {
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
    const log: StoredLog = {
      userIds: this.#decoded(this.#users.ids),
      itemIds: this.#decoded(this.#items.ids),
      user: this.#kept(this.#user.finish()),
      item: this.#kept(this.#item.finish()),
      rating: this.#index.rating >= 0 ? this.#kept(this.#rating.finish()) : null,
      time: this.#index.time >= 0 ? this.#kept(times) : null,
      ...(this.#index.time >= 0 && { timeUnit: unit }),
      ...(this.#context.length > 0 && {
        context: this.#context.map(({ name, values, rows }) => ({
          name,
          values: this.#decoded(values.ids),
          rows: this.#kept(rows.finish()),
        })),
      }),
      size: this.#size - this.#dropped.size,
      source: this.#source,
      ...(this.#columns && { columns: this.#columns }),
      badRows: this.#bad,
      notes: this.#notes,
    };
    this.#noteIds(log);
    if (this.#latin1) log.notes = log.notes.map(displayText);
    return log;
  }

  /** A column without the rows that were dropped after they were read. */
  #kept<A extends ColumnValues>(column: ValueColumn<A>): ValueColumn<A> {
    if (this.#dropped.size === 0) return column;
    const kept = (
      column.subarray(0, 0) instanceof Uint32Array ? this.#store.u32() : this.#store.f64()
    ) as ColumnWriter<A>;
    let row = 0;
    for (const value of column) if (!this.#dropped.has(row++)) kept.push(value);
    return kept.finish();
  }

  #decoded(texts: string[]): string[] {
    return this.#latin1 ? texts.map(latin1Of) : texts;
  }

  #noteColumns({ header, named, kind }: Format, index: ColumnIndex): void {
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
    const taken = ROLES.flatMap((role) => {
      const name = header[index[role]];
      return name === undefined ? [] : [`${role} ${quote(name)}`];
    });
    this.#notes.push(
      named
        ? `columns: ${taken.join(', ')}`
        : `no header: columns are taken as ${header.join(', ')} by their shape (${option('columns.all', 'NAME,NAME,...')} says otherwise)`,
    );
    if (index.time < 0) this.#notes.push('no time column: rows are taken to be in time order');
    for (const role of ROLES) {
      const taken = header[index[role]];
      const others = candidates(header, role).flatMap((at) => header[at] ?? []);
      const names = others
        .filter((name) => name !== taken)
        .map(quote)
        .join(', ');
      if (taken === undefined || names === '' || this.#options.columns?.[role] !== undefined) continue;
      this.#notes.push(
        `${role}: took ${quote(taken)}, not ${names} (${option(`columns.${role}`, 'NAME')} says otherwise)`,
      );
    }
    for (const name of duplicates(header)) {
      const count = header.filter((own) => own === name).length;
      this.#notes.push(`${count} columns are called ${quote(name)}: the first counts`);
    }
  }

  /** Notes IDs that are probably mistakes. */
  #noteIds(log: StoredLog): void {
    for (const [what, ids, column] of [
      ['user', log.userIds, log.user],
      ['item', log.itemIds, log.item],
    ] as const) {
      const lines = ids.find((id) => id.includes('\n'));
      if (lines !== undefined)
        log.notes.push(`a line break is in the ${what} ID ${quote(lines)} (is a quote left open?)`);
      const blanks = ids.filter((id) => id.trim() !== id);
      const [blank] = blanks;
      if (blank !== undefined) {
        const which = blanks.length === 1 ? `ID starts or ends with a space` : `IDs start or end with a space`;
        log.notes.push(
          `${blanks.length.toLocaleString('en')} ${what} ${which}, such as ${quote(blank)}: kept as written`,
        );
      }
      for (const [at, id] of ids.entries()) {
        if (!MISSING_IDS.has(id)) continue;
        let count = 0;
        for (const own of column) if (own === at) count++;
        log.notes.push(
          `${countOf(count, 'row')} with the ${what} ${quote(id)}: an ID like any other, so remove these rows if it means a missing one`,
        );
      }
    }
  }

  #find({ header, named }: Format): ColumnIndex {
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
    const index: ColumnIndex = {
      user: find('user'),
      item: find('item'),
      time: find('time'),
      rating: find('rating'),
      count: header.length,
      names: header.join(', '),
      context: this.#context.map(({ name }) => {
        if (name === this.#options.namedByFile && (!named || columnNamed(header, name) < 0)) return -1;
        if (!named) throw lacks('reads', name);
        return namedColumn(header, name, 'context', source);
      }),
    };
    if (index.user < 0) throw missingColumn(header, 'user', source);
    if (index.item < 0) throw missingColumn(header, 'item', source);
    for (const [i, role] of ROLES.entries()) {
      const same = ROLES.slice(i + 1).find((other) => index[other] >= 0 && index[other] === index[role]);
      if (!same) continue;
      throw new InputError(
        'missing-column',
        `${source}: ${role} and ${same} are the same column, ${quote(header[index[role]] ?? '')}`,
        { hint: `name another one with ${option(`columns.${role}`)} or ${option(`columns.${same}`)}` },
      );
    }
    return index;
  }
}

function countOf(n: number, what: string): string {
  return `${n.toLocaleString('en')} ${what}${n === 1 ? '' : 's'}`;
}

function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
