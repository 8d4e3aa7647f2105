/** Databases for the store: a file, or an address whose scheme is in the table. What is not used does not load. */
import { SqlStore } from './sql.ts';
import type { Store } from './store.ts';

const SCHEMES: Readonly<Record<string, (address: string) => Promise<Store>>> = {
  'postgres:': openPostgres,
  'postgresql:': openPostgres,
};

/** @param store a file, or `postgres://USER@HOST/DATABASE` @throws InputError in one line, without the address's password */
export function openStore(store: string): Promise<Store> {
  const scheme = /^([a-z]+:)\/\//i.exec(store)?.[1].toLowerCase() ?? '';
  return Object.hasOwn(SCHEMES, scheme) ? SCHEMES[scheme](store) : openSqlite(store);
}

async function openSqlite(file: string): Promise<Store> {
  const { SqliteDriver } = await import('./sqlite.ts');
  return SqlStore.open(await SqliteDriver.open(file));
}

async function openPostgres(address: string): Promise<Store> {
  const { PostgresDriver } = await import('./postgres.ts');
  return SqlStore.open(await PostgresDriver.open(address));
}
