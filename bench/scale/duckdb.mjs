/** What `npm run bench:scale` compares `attune prepare` with: LOG sorted by user and time, written to PARQUET by DuckDB. */
import { DuckDBInstance } from '@duckdb/node-api';

const [log, parquet] = process.argv.slice(2);
const quoted = (path) => `'${path.replaceAll("'", "''")}'`;
const connection = await (await DuckDBInstance.create()).connect();
await connection.run(
  `COPY (SELECT * FROM read_csv(${quoted(log)}) ORDER BY user_id, timestamp) TO ${quoted(parquet)} (FORMAT parquet)`,
);
