import { parse } from 'csv-parse/browser/esm/sync';
import { InputError } from './errors.ts';
import { type Format, sniffFormat } from './format.ts';

/** Receives a file's rows as they are parsed. */
export interface RecordSink {
  /** Once, before the first row, when the first line has been read. */
  begin(format: Format): void;
  /** `fields` is reused: take what you need out of it. `line` counts from 1, blank lines and header included. */
  row(fields: string[], line: number): void;
  bad(line: number, problem: string): void;
}

/** A quoted field longer than this is taken for a quote that somebody forgot to close. */
const LONGEST_RECORD = 1 << 20;

/**
 * Splits text into rows of fields, fed piece by piece. Text without quotes is split here, which is several times
 * faster; text with quotes goes to csv-parse, cut where a row ends. Rows end with LF or CRLF; blank lines are skipped.
 */
export class RecordParser {
  readonly #source: string;
  readonly #sink: RecordSink;
  readonly #fields: string[] = [];
  #format: Format | null = null;
  #rest = '';
  /** number of the line with which `#rest` begins */
  #line = 1;

  constructor(source: string, sink: RecordSink) {
    this.#source = source;
    this.#sink = sink;
  }

  push(text: string): void {
    let block = this.#skipHeader(this.#rest + text);
    let cut = this.#format ? this.#lastRowEnd(block, this.#format) : 0;
    while (block.length - cut > LONGEST_RECORD) {
      if (!this.#format) throw new InputError(`${this.#source}:${this.#line}: this line is too long for a log`);
      this.#parse(block.slice(0, cut), this.#format);
      block = this.#skipLine(block.slice(cut), 'this row is too long (is a quote left open?)');
      cut = this.#lastRowEnd(block, this.#format);
    }
    this.#rest = block.slice(cut);
    if (this.#format) this.#parse(block.slice(0, cut), this.#format);
  }

  /** @throws InputError when the file held nothing */
  end(): void {
    let block = this.#skipHeader(`${this.#rest}\n`);
    this.#rest = '';
    if (!this.#format) throw new InputError(`${this.#source}: the file is empty`);
    while (block.length > 0) {
      const cut = this.#lastRowEnd(block, this.#format);
      this.#parse(block.slice(0, cut), this.#format);
      block = cut < block.length ? this.#skipLine(block.slice(cut), 'a quote opens here and is not closed') : '';
    }
  }

  /** Until the format is known: reads it off the first line that is not blank. Returns what follows the header. */
  #skipHeader(block: string): string {
    let start = 0;
    while (!this.#format) {
      const end = block.indexOf('\n', start);
      if (end < 0) break;
      const line = block.slice(start, end).replace(/\r$/, '');
      if (line.trim() !== '') {
        this.#format = sniffFormat(line, this.#source);
        this.#sink.begin(this.#format);
        if (!this.#format.header) break;
      }
      this.#line++;
      start = end + 1;
    }
    return start === 0 ? block : block.slice(start);
  }

  /** Gives up on a first line that never ends, so that those after it can be read. */
  #skipLine(block: string, problem: string): string {
    this.#sink.bad(this.#line, problem);
    this.#line++;
    const end = block.indexOf('\n');
    return end < 0 ? '' : block.slice(end + 1);
  }

  /** Index after the last line break outside quotes. */
  #lastRowEnd(block: string, { quoted, delimiter }: Format): number {
    let rowStart = 0;
    let close = -1;
    let newline = block.indexOf('\n');
    /** Moves rowStart to the last row that begins up to `at`, where no quoted field lies between `close` and `at`. */
    const advance = (at: number): void => {
      if (newline >= 0 && newline <= close) newline = block.indexOf('\n', close + 1);
      if (newline >= 0 && newline < at) rowStart = block.lastIndexOf('\n', at - 1) + 1;
    };
    let quote = quoted ? block.indexOf('"') : -1;
    while (quote >= 0) {
      const before = quote === 0 ? '\n' : block[quote - 1];
      if (before === '\n' || before === delimiter) {
        advance(quote);
        close = block.indexOf('"', quote + 1);
        while (close >= 0 && block[close + 1] === '"') close = block.indexOf('"', close + 2);
        if (close < 0) return rowStart;
        quote = close;
      }
      quote = block.indexOf('"', quote + 1);
    }
    advance(block.length);
    return rowStart;
  }

  /** Rows of `block`, which is empty or ends with a line break. */
  #parse(block: string, format: Format): void {
    if (block === '') return;
    if (format.quoted && block.includes('"')) this.#parseQuoted(block, format);
    else this.#parsePlain(block, format);
  }

  #parsePlain(rows: string, format: Format): void {
    const { delimiter, kind } = format;
    const fields = this.#fields;
    let start = 0;
    while (start < rows.length) {
      const newline = rows.indexOf('\n', start);
      const end = newline > start && rows.charCodeAt(newline - 1) === 13 ? newline - 1 : newline;
      if (end > start) {
        if (kind === 'pairs') {
          this.#sink.row(rows.slice(start, end).trim().split(/\s+/), this.#line);
        } else {
          fields.length = 0;
          let from = start;
          let at = rows.indexOf(delimiter, from);
          while (at >= 0 && at < end) {
            fields.push(rows.slice(from, at));
            from = at + delimiter.length;
            at = rows.indexOf(delimiter, from);
          }
          fields.push(rows.slice(from, end));
          this.#sink.row(fields, this.#line);
        }
      }
      this.#line++;
      start = newline + 1;
    }
  }

  #parseQuoted(rows: string, format: Format): void {
    const options = {
      delimiter: format.delimiter,
      record_delimiter: ['\r\n', '\n'],
      relax_column_count: true,
      relax_quotes: true,
    };
    const newlines = countNewlines(rows);
    const records = parse(rows, options) as string[][];
    if (records.length === newlines) {
      for (const record of records) {
        if (record.length > 1 || record[0] !== '') this.#sink.row(record, this.#line);
        this.#line++;
      }
      return;
    }
    // A field spans lines, so that rows no longer say which line they are on: the slower pass counts.
    const base = this.#line - 1;
    const counted = parse(rows, { ...options, info: true }) as unknown as {
      record: string[];
      info: { lines: number };
    }[];
    for (const { record, info } of counted) {
      if (record.length > 1 || record[0] !== '') this.#sink.row(record, base + info.lines);
    }
    this.#line += newlines;
  }
}

function countNewlines(text: string): number {
  let lines = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines++;
  return lines;
}
