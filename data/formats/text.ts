/**
 * Text from bytes, piece by piece, when only the whole file shows whether it is UTF-8 or Latin-1 (as Windows-1252).
 *
 * Bytes that are not UTF-8 are kept as lone surrogates, U+DC80 to U+DCFF (the "surrogateescape" of Python's PEP 383). That
 * loses nothing: when the file turns out to be Latin-1, `latin1Of` decodes what was kept, so that no file is read twice or
 * held in memory.
 */
import { InputError } from '../errors.ts';

/** How a file is encoded: `damaged` is UTF-8 with some bytes that are not. */
export type Encoding = 'ascii' | 'utf-8' | 'latin1' | 'damaged';

/** First bytes of files that are not text, and the message for each. */
const SIGNATURES: [bytes: number[], advice: string][] = [
  [[0x1f, 0x8b], 'is gzip-compressed twice; unpack it first (gunzip)'],
  [[0x50, 0x4b, 0x03, 0x04], 'is a zip archive; unpack it first (unzip)'],
  [[0x28, 0xb5, 0x2f, 0xfd], 'is zstd-compressed; unpack it first (unzstd)'],
  [[0x50, 0x41, 0x52, 0x31], 'is a Parquet file inside gzip; unpack it first (gunzip)'],
  [[0xff, 0xfe], 'is UTF-16 text; save it as UTF-8'],
  [[0xfe, 0xff], 'is UTF-16 text; save it as UTF-8'],
];

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const windows1252 = new TextDecoder('windows-1252');
const encoder = new TextEncoder();
const NOTHING = new Uint8Array();

/** Decodes a text file's bytes; a byte order mark is dropped. */
export class ByteDecoder {
  readonly #source: string;
  #pending: Uint8Array = NOTHING;
  #first = true;
  /** bytes of valid sequences beyond the UTF-16 units that they became: 0 for ASCII */
  #valid = 0;
  #invalid = 0;

  constructor(source: string) {
    this.#source = source;
  }

  /** Whether bytes were found that are not UTF-8: text may then hold lone surrogates. */
  get escaped(): boolean {
    return this.#invalid > 0;
  }

  /** Text of the bytes up to the last whole character. @throws InputError for what is not text */
  push(bytes: Uint8Array): string {
    const all = this.#pending.length === 0 ? bytes : joined(this.#pending, bytes);
    if (all.includes(0)) {
      this.#rejectBinary(all);
      throw new InputError(
        'unreadable-file',
        `${this.#source}: is not text (it holds NUL bytes); expected CSV, TSV, JSON lines or text`,
      );
    }
    const cut = all.length - unfinished(all);
    if (cut === 0 || (this.#first && all.length < 4)) {
      this.#pending = all.slice();
      return '';
    }
    this.#pending = all.slice(cut);
    return this.#decode(all.subarray(0, cut));
  }

  /** What is left at the end of the file. */
  end(): string {
    const rest = this.#pending;
    this.#pending = NOTHING;
    return rest.length === 0 ? '' : this.#decode(rest);
  }

  /** What the file as a whole is, after `end`. */
  get encoding(): Encoding {
    if (this.#invalid === 0) return this.#valid === 0 ? 'ascii' : 'utf-8';
    return this.#valid > this.#invalid ? 'damaged' : 'latin1';
  }

  #decode(bytes: Uint8Array): string {
    let from = bytes;
    if (this.#first) {
      this.#rejectBinary(bytes);
      this.#first = false;
      if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) from = bytes.subarray(3);
    }
    try {
      const text = strict.decode(from);
      this.#valid += from.length - text.length;
      return text;
    } catch {
      return this.#escape(from);
    }
  }

  #escape(bytes: Uint8Array): string {
    let text = '';
    let start = 0;
    let at = 0;
    while (at < bytes.length) {
      const byte = bytes[at] as number;
      const length = byte < 0x80 ? 1 : sequenceAt(bytes, at);
      if (length > 0) at += length;
      else {
        text += strict.decode(bytes.subarray(start, at)) + String.fromCharCode(0xdc00 + byte);
        start = ++at;
        this.#invalid++; // one byte, one unit: no difference between the two lengths below
      }
    }
    text += strict.decode(bytes.subarray(start));
    this.#valid += bytes.length - text.length;
    return text;
  }

  #rejectBinary(head: Uint8Array): void {
    if (!this.#first) return;
    for (const [bytes, advice] of SIGNATURES) {
      if (bytes.every((byte, i) => head[i] === byte))
        throw new InputError('unreadable-file', `${this.#source}: ${advice}`);
    }
  }
}

/** Whether a text holds bytes that are not UTF-8, as lone surrogates. */
export const isEscaped = (text: string): boolean => /[\udc80-\udcff]/u.test(text);

/** A text with the lone surrogates in it as Latin-1, for messages. */
export const displayText = (text: string): string =>
  text.replace(/[\udc80-\udcff]/gu, (char) => windows1252.decode(Uint8Array.of(char.charCodeAt(0) - 0xdc00)));

/** The Latin-1 text whose bytes a `Decoder` read as UTF-8. */
export function latin1Of(text: string): string {
  if (!/[\u0080-\uffff]/.test(text)) return text;
  const bytes: number[] = [];
  for (const char of text) {
    const code = char.codePointAt(0) as number;
    if (code >= 0xdc80 && code <= 0xdcff) bytes.push(code - 0xdc00);
    else for (const byte of encoder.encode(char)) bytes.push(byte);
  }
  return windows1252.decode(Uint8Array.from(bytes));
}

/**
 * All of a small text file: UTF-8 with or without a byte order mark, or Latin-1 (as Windows-1252).
 * @throws InputError for what is not text, or is UTF-8 but for some bytes
 */
export function decodeText(bytes: Uint8Array, source: string): string {
  const decoder = new ByteDecoder(source);
  const text = decoder.push(bytes) + decoder.end();
  if (decoder.encoding === 'latin1') return latin1Of(text);
  if (decoder.encoding !== 'damaged') return text;
  const line = text.slice(0, text.search(/[\udc80-\udcff]/u)).split('\n').length;
  throw new InputError('unreadable-file', `${source}:${line}: is not UTF-8, unlike the rest of the file`, {
    hint: 'fix the line',
  });
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

/** Number of bytes at the end (0 to 3) that start a UTF-8 sequence without completing it. */
function unfinished(bytes: Uint8Array): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back] as number;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) return (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) > back ? back : 0;
  }
  return 0;
}

/** Length of the well-formed UTF-8 sequence at a byte >= 0x80 (Unicode, table 3-7); 0 if there is none. */
function sequenceAt(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] as number;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  const [second = 0, ...others] = bytes.subarray(at + 1, at + length);
  if (at + length > bytes.length) return 0;
  const least = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const most = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < least || second > most) return 0;
  return others.every((byte) => byte >= 0x80 && byte <= 0xbf) ? length : 0;
}

/** Bytes as text; null where they are not UTF-8. */
export function utf8Text(bytes: Uint8Array): string | null {
  try {
    return strict.decode(bytes);
  } catch {
    return null;
  }
}

/** Bytes as `0x` and hexadecimal digits. */
export const hexOf = (bytes: Uint8Array): string =>
  `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
