import { InputError } from './errors.ts';

/** Names by which a column is found, best first, compared without case and punctuation. */
const USUAL = {
  user: [
    'user',
    'userid',
    'uid',
    'customer',
    'customerid',
    'visitor',
    'visitorid',
    'reviewerid',
    'session',
    'sessionid',
  ],
  item: [
    ...['item', 'itemid', 'iid', 'movie', 'movieid', 'product', 'productid', 'asin', 'article', 'articleid', 'sku'],
    ...['book', 'bookid', 'isbn', 'track', 'trackid', 'song', 'songid'],
  ],
  id: ['id'],
  time: ['timestamp', 'ts', 'time', 'datetime', 'unixreviewtime', 'eventtime', 'createdat', 'date', 'order'],
  rating: ['rating', 'stars', 'score', 'overall'],
  title: ['title', 'name', 'movietitle', 'itemname', 'itemtitle', 'productname', 'producttitle', 'label'],
} as const;

export type ColumnRole = keyof typeof USUAL;

/** Index of the column for `role` in `header`, −1 if none has a usual name. */
export function findColumn(header: string[], role: ColumnRole): number {
  const plain = header.map(plainName);
  for (const name of USUAL[role]) {
    const at = plain.indexOf(name);
    if (at >= 0) return at;
  }
  return -1;
}

/**
 * Index of the column that the user named with a flag.
 *
 * @throws InputError naming the columns there are
 */
export function namedColumn(header: string[], name: string, role: string, source: string): number {
  const flag = role === 'context' ? `--events ${name}` : `--${role}-column`;
  const exact = header.indexOf(name);
  const at = exact >= 0 ? exact : header.map(plainName).indexOf(plainName(name));
  if (at < 0) {
    throw new InputError(
      `${source}: no column ${JSON.stringify(name)} (${flag}); its columns are ${header.join(', ')}`,
    );
  }
  return at;
}

/** The error for a column that is needed and was not found; names those found and the flag that helps. */
export function missingColumn(header: string[], role: 'user' | 'item', source: string): InputError {
  const looksLikeData = header.every((name) => /^[\d.\s-]*$/.test(name));
  const advice = looksLikeData
    ? 'the first line looks like data: put a header such as user,item,timestamp above it'
    : `name it with --${role}-column NAME`;
  return new InputError(`${source}: no ${role} column among ${header.join(', ')}; ${advice}`);
}

function plainName(name: string): string {
  return name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
}
