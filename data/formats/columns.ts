import { InputError, option } from '../errors.ts';

/** Names by which a column is found, best first, compared without case and punctuation. */
const USUAL = {
  user: [
    ...['user', 'userid', 'uid', 'customer', 'customerid', 'visitor', 'visitorid', 'reviewerid', 'member', 'memberid'],
    ...['account', 'accountid', 'client', 'clientid', 'session', 'sessionid'],
  ],
  item: [
    ...['item', 'itemid', 'iid', 'movie', 'movieid', 'product', 'productid', 'parentasin', 'asin'],
    ...['article', 'articleid', 'sku', 'book', 'bookid', 'isbn', 'track', 'trackid', 'song', 'songid'],
    ...['content', 'contentid', 'business', 'businessid', 'news', 'newsid', 'video', 'videoid'],
    ...['artist', 'artistid', 'game', 'gameid', 'anime', 'animeid', 'recipe', 'recipeid', 'stockcode'],
  ],
  id: ['id'],
  time: [
    ...['timestamp', 'ts', 'time', 'datetime', 'unixreviewtime', 'unixtime', 'unixtimestamp', 'epoch'],
    ...['eventtimestamp', 'eventtime', 'eventdatetime', 'eventdate', 'eventat', 'eventts'],
    ...['createdat', 'created', 'createdtime', 'createddate', 'creationdate', 'occurredat', 'interactiontime'],
    ...['ratedat', 'viewedat', 'clickedat', 'purchasedat', 'orderedat', 'purchasedate', 'orderdate', 'invoicedate'],
    ...['timestampms', 'timems', 'date', 'order'],
  ],
  rating: ['rating', 'stars', 'score', 'overall'],
  title: ['title', 'name', 'movietitle', 'itemname', 'itemtitle', 'productname', 'producttitle', 'label'],
} as const;

export type ColumnRole = keyof typeof USUAL;

/** Index of the column for `role` in `header`, −1 if none has a usual name. */
export function findColumn(header: readonly string[], role: ColumnRole): number {
  return candidates(header, role)[0] ?? -1;
}

/** Indices of all columns that have a usual name of `role`, best first. */
export function candidates(header: readonly string[], role: ColumnRole): number[] {
  const plain = header.map(plainName);
  return USUAL[role].flatMap((name) => plain.flatMap((own, at) => (own === name ? [at] : [])));
}

/** Whether a line is a header: it names the user and the item column. */
export const namesUserAndItem = (fields: readonly string[]): boolean =>
  findColumn(fields, 'user') >= 0 && findColumn(fields, 'item') >= 0;

/** Names of more than one column, once each. */
export const duplicates = (header: readonly string[]): string[] => [
  ...new Set(header.filter((name, at) => plainName(name) !== '' && header.indexOf(name) < at)),
];

/** Index of a column by its name, or by that without case and punctuation; −1 if there is none. */
export function columnNamed(header: readonly string[], name: string): number {
  const exact = header.indexOf(name);
  return exact >= 0 ? exact : header.map(plainName).indexOf(plainName(name));
}

/**
 * Index of the column that the user named with a flag.
 *
 * @throws InputError naming the columns there are
 */
export function namedColumn(header: readonly string[], name: string, role: string, source: string): number {
  const setting = role === 'context' ? option('reads', name) : option(`columns.${role}`);
  const at = columnNamed(header, name);
  if (at < 0) {
    throw new InputError(
      'missing-column',
      `${source}: no column ${JSON.stringify(name)} (${setting}); its columns are ${header.join(', ')}`,
    );
  }
  return at;
}

/** The error for a column that is needed and was not found; names those found and the flag that helps. */
export function missingColumn(header: readonly string[], role: 'user' | 'item', source: string): InputError {
  const none = findColumn(header, 'user') < 0 && findColumn(header, 'item') < 0;
  const advice = none
    ? `, or, where the file has no header, all of them with ${option('columns.all', 'user,item,...')}`
    : '';
  return new InputError('missing-column', `${source}: no ${role} column among ${header.join(', ')}`, {
    hint: `name it with ${option(`columns.${role}`, 'NAME')}${advice}`,
  });
}

function plainName(name: string): string {
  return name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');
}
