/** `postgres://USER@HOST/DATABASE SELECT …`: rows of PostgreSQL, read through a cursor in a transaction that cannot write. */
import { InputError, option } from '../../data/errors.ts';
import { displayName } from './name.ts';
import type { SourceKind } from './source-kind.ts';

const ADDRESS = /^(postgres(?:ql)?:\/\/\S*)\s*(.*)$/is;

/** Whether a text is the address of a database, with a query or without. */
export const isPostgres = (text: string): boolean => ADDRESS.test(text);

export const postgresQuery: SourceKind = {
  fits: isPostgres,
  open(text) {
    const [, address, sql] = ADDRESS.exec(text) as RegExpExecArray;
    const { where, secret } = aboutAddress(address);
    if (secret) {
      throw new InputError(
        'invalid-value',
        `${where}: the address holds a password, and a model remembers where its log was`,
        {
          hint: 'leave it out, and set PGPASSWORD or write ~/.pgpass',
        },
      );
    }
    if (sql.trim() === '') {
      throw new InputError('invalid-value', `${where}: names no rows`, {
        hint: `add ${option('query', 'SELECT user, item, time FROM ...')}`,
      });
    }
    const name = displayName(`${where} ${sql}`);
    return {
      name,
      files: [],
      async rows(sink, tick) {
        const { readPostgres } = await import('./postgres-rows.node.ts'); // an optional peer
        await readPostgres({ address, where, sql, name }, sink, tick);
      },
    };
  },
};

/** An address for people, and whether it holds a password. @throws InputError that does not repeat the address */
export function aboutAddress(address: string): { where: string; secret: boolean } {
  try {
    const url = new URL(address);
    const where = `postgres://${url.searchParams.get('host') ?? url.host}${decodeURIComponent(url.pathname)}`;
    return { where, secret: url.password !== '' || url.searchParams.has('password') };
  } catch {
    throw new InputError('invalid-value', 'expected postgres://USER@HOST:PORT/DATABASE');
  }
}
