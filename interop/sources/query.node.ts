/** `duckdb: SELECT …`: what DuckDB makes of SQL, over files, folders, and whatever it attaches. */
import { displayName } from './name.ts';
import type { SourceKind } from './source-kind.ts';

const PREFIX = /^duckdb:\s/;

export const duckdbQuery: SourceKind = {
  fits: (text) => PREFIX.test(text),
  open(text) {
    const name = displayName(text);
    return {
      name,
      files: [],
      async rows(sink, tick) {
        const { DuckDB } = await import('./duckdb.node.ts'); // an optional peer
        await DuckDB.using(name, tick, (db) => db.query(text.replace(PREFIX, ''), sink));
      },
    };
  },
};
