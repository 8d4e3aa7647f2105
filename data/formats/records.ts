import { InputError } from '../errors.ts';
import { type Format, type FormatOptions, SAMPLE, sniffFormat } from './format.ts';
import { fieldsOfObject } from './json-lines.ts';
import { quotedRow } from './quotes.ts';
import { type Encoding, isEscaped, displayText } from './text.ts';

/** Receives a file's rows as they are parsed. */
export interface RecordSink {
  /** Once, before the first row. Returns the columns of IDs, whose values cannot be lists or objects. */
  begin(format: Format): readonly number[];
  /**
   * `fields` is reused: take what you need out of it. `line` counts from 1, blank lines and header included. `escaped`: it
   * holds bytes that are not UTF-8 (data/formats/text.ts).
   */
  row(fields: string[], line: number, escaped: boolean): void;
  /** After `begin`: whether it reads a column (by default it does); the fields of others may be anything. */
  reads?(column: number): boolean;
  bad(line: number, problem: string): void;
  /** Something that the user should know about the file. */
  note(text: string): void;
  /** Once, after the last row. */
  end(encoding: Encoding): void;
}

/** Characters of the longest row; also of the lines that the format is detected from. */
const LONGEST_ROW = 1 << 20;

/**
 * Splits text into rows of fields, fed piece by piece; what it gives does not depend on the pieces. Rows end with LF, CRLF,
 * or CR alone where the first one does; blank lines and comments are skipped.
 */
export class RecordParser {
  readonly #source: string;
  readonly #sink: RecordSink;
  readonly #options: FormatOptions;
  readonly #fields: string[] = [];
  #format: Format | null = null;
  #ids: readonly number[] = [];
  #rest = '';
  /** number of the line with which `#rest` begins */
  #line = 1;
  /** whether CR alone ends lines; null until the first line ended */
  #cr: boolean | null = null;
  #comments = 0;
  /** inside a row that was found to be too long */
  #skipping = false;
  /** set when the text may hold bytes that are not UTF-8 */
  escaped = false;

  constructor(source: string, sink: RecordSink, options: FormatOptions = {}) {
    this.#source = source;
    this.#sink = sink;
    this.#options = options;
  }

  push(text: string): void {
    if (text === '') return;
    this.#rest = this.#parse(this.#unixLines(this.#rest, text), false);
  }

  /** @throws InputError when the file held nothing */
  end(): void {
    const rest = this.#parse(`${this.#rest}\n`, true);
    this.#rest = rest;
    if (!this.#format) throw new InputError('too-little-data', `${this.#source}: the file is empty`);
    if (this.#comments > 0) {
      const lines = this.#comments === 1 ? '1 comment line' : `${this.#comments} comment lines`;
      this.#sink.note(`${this.#source}: skipped ${lines} (${this.#format.comment})`);
    }
  }

  /** The text with LF at the end of its lines, where CR alone ends them. */
  #unixLines(rest: string, text: string): string {
    if (this.#cr === null) {
      const all = rest + text;
      const end = /\r\n|\n|\r(?=[^\n])/.exec(all);
      if (!end) return all;
      this.#cr = end[0] === '\r';
      return this.#cr ? all.replaceAll('\r', '\n') : all;
    }
    return rest + (this.#cr ? text.replaceAll('\r', '\n') : text);
  }

  /** Passes on the complete rows of `text` and returns what follows them. */
  #parse(text: string, last: boolean): string {
    let start = 0;
    if (!this.#format) {
      const head = this.#start(text, last);
      if (!this.#format) return text;
      start = head;
    }
    const format = this.#format as Format;
    const quotes = format.quoted;
    let quote = quotes ? text.indexOf('"', start) : -1;
    while (start < text.length) {
      const newline = text.indexOf('\n', start);
      if (this.#skipping) {
        if (newline < 0) return '';
        this.#skipping = false;
        this.#line++;
        start = newline + 1;
        continue;
      }
      if (quote >= 0 && quote < start) quote = text.indexOf('"', start);
      let end = newline + 1;
      if (quote >= 0 && (newline < 0 || quote < newline)) {
        end = this.#quoted(text, start, newline, format, last);
        if (end < 0) break;
      } else if (newline < 0) break;
      else if (newline - start > LONGEST_ROW) this.#bad(LONG);
      else this.#plain(text, start, newline, format);
      start = end;
    }
    if (text.length - start <= LONGEST_ROW) return text.slice(start);
    return this.#tooLong(text, start, last);
  }

  /** A row that does not end: it is skipped, and reading continues after its first line. */
  #tooLong(text: string, start: number, last: boolean): string {
    this.#sink.bad(this.#line, LONG);
    this.#skipping = true;
    return this.#parse(text.slice(start), last);
  }

  #bad(problem: string): void {
    this.#sink.bad(this.#line, problem);
    this.#line++;
  }

  /** A row without quotes. */
  #plain(text: string, start: number, newline: number, format: Format): void {
    const line = this.#line++;
    const end = newline > start && text.charCodeAt(newline - 1) === 13 ? newline - 1 : newline;
    if (end === start) return;
    if (format.comment !== null && text.slice(start, end).trimStart().startsWith(format.comment)) {
      this.#comments++;
      return;
    }
    const { delimiter, kind } = format;
    if (kind === 'json') {
      const found = fieldsOfObject(text.slice(start, end), format.header, this.#ids);
      if (typeof found === 'string') this.#sink.bad(line, found);
      else this.#give(found, line);
      return;
    }
    if (delimiter === ' ') {
      const row = text.slice(start, end).trim();
      if (row === '') return;
      const words = row.split(/\s+/);
      if (kind === 'table') this.#give(words, line);
      else if (words.length === 1) this.#sink.bad(line, 'expected a user and its items, found 1 word');
      else for (const item of words.slice(1)) this.#give([words[0] as string, item], line);
      return;
    }
    const fields = this.#fields;
    fields.length = 0;
    let from = start;
    let at = text.indexOf(delimiter, from);
    while (at >= 0 && at < end) {
      fields.push(text.slice(from, at));
      from = at + delimiter.length;
      at = text.indexOf(delimiter, from);
    }
    fields.push(text.slice(from, end));
    this.#give(fields, line);
  }

  /** A row with quotes; returns where the next one starts, −1 if the text ends before this one does. */
  #quoted(text: string, start: number, newline: number, format: Format, last: boolean): number {
    if (format.comment !== null && newline >= 0 && text.slice(start, newline).trimStart().startsWith(format.comment)) {
      this.#plain(text, start, newline, format);
      return newline + 1;
    }
    const row = quotedRow(text, start, format.delimiter, last);
    if (row === 'more') return -1;
    const problem = 'problem' in row ? row.problem : row.end - start > LONGEST_ROW ? LONG : null;
    const severalLines = !('problem' in row) && row.end !== newline + 1;
    if (problem !== null || 'problem' in row) {
      if (newline < 0) return -1;
      this.#bad(problem as string);
      return newline + 1;
    }
    const { fields, end } = row;
    const expected = format.header.length;
    if (severalLines && fields.length !== expected) {
      this.#bad(
        `expected ${expected} fields, got ${fields.length}, with a quoted field over several lines (is a quote left open?)`,
      );
      return newline + 1;
    }
    this.#give(fields, this.#line);
    this.#line++;
    if (severalLines) for (let at = newline + 1; at < end; at = text.indexOf('\n', at) + 1) this.#line++;
    return end;
  }

  #give(fields: string[], line: number): void {
    this.#sink.row(fields, line, this.escaped && fields.some(isEscaped));
  }

  /** Detects the format once there are enough lines. Returns where the rows start. */
  #start(text: string, last: boolean): number {
    const lines: string[] = [];
    let content = 0;
    let at = 0;
    while (content < SAMPLE) {
      const end = text.indexOf('\n', at);
      if (end < 0 || end > LONGEST_ROW) break;
      const line = text.slice(at, end).replace(/\r$/, '');
      lines.push(line);
      if (line.trim() !== '' && !/^\s*[#%]/.test(line)) content++;
      at = end + 1;
    }
    if (content < SAMPLE && !last && text.length <= LONGEST_ROW) return 0;
    if (content === 0) {
      if (text.length <= LONGEST_ROW) return 0;
      throw new InputError('unreadable-file', `${this.#source}:${lines.length + 1}: this line is too long for a log`);
    }
    this.#format = sniffFormat(this.escaped ? lines.map(displayText) : lines, this.#source, this.#options);
    this.#ids = this.#sink.begin(this.#format);
    let start = 0;
    for (let i = 0; i < this.#format.skip; i++) start = text.indexOf('\n', start) + 1;
    this.#line = this.#format.skip + 1;
    return start;
  }
}

const LONG = 'this row is too long (is a quote left open?)';
