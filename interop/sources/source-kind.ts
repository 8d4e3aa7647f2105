import type { LogRows } from '../../data/formats/reader.ts';

/** Rows of a log, and the files that they are read from, where these are known. */
export interface RowSource extends LogRows {
  files: readonly string[];
}

export interface SourceKind {
  /** Whether a text names such a source. */
  fits(text: string): boolean;
  /** @throws InputError for one that cannot be used */
  open(text: string): RowSource;
}
