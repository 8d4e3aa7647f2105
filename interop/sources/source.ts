/**
 * Sources of a log that are no plain files: a kind is a file and a line in the table. A source is one text, so that a model
 * remembers it as it remembers a path.
 */
import { folder } from './folder.node.ts';
import { postgresQuery } from './postgres.node.ts';
import { duckdbQuery } from './query.node.ts';
import type { RowSource, SourceKind } from './source-kind.ts';

const KINDS: readonly SourceKind[] = [duckdbQuery, postgresQuery, folder];

/** The source that a text names; null for a path of files. @throws InputError for one that cannot be used */
export const rowSource = (text: string): RowSource | null => KINDS.find(({ fits }) => fits(text))?.open(text) ?? null;
