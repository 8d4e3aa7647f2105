/** The small shop that the commands of the documentation run on: every file that they name. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [USERS, LENGTH] = [48, 12];
const GENRES = ['Comedy', 'Drama', 'Horror', 'Drama|War', 'Comedy|Romance'];
/** The items of the documentation's histories come first. */
export const IDS: readonly string[] = [
  '1193',
  '661',
  '914',
  '3408',
  ...Array.from({ length: 36 }, (_, i) => `${2000 + i}`),
];

const movie = (id: string, row: number): string =>
  `${id},Movie ${row},${1980 + (row % 30)},${GENRES[row % GENRES.length]},${5 + (row % 60)}`;

/** Users who walk over a ring of items with strides of their own, so that there is something to learn. */
function events(): { user: string; item: string; time: number; rating: number; device: string }[] {
  return Array.from({ length: USERS * LENGTH }, (_, i) => {
    const [u, t] = [Math.floor(i / LENGTH), i % LENGTH];
    return {
      user: `${u}`,
      item: IDS[(u * 7 + t * (1 + (u % 3))) % IDS.length],
      time: 1_700_000_000 + 100_000 * t + 60 * u,
      rating: 1 + ((u + t) % 5),
      device: t % 2 ? 'phone' : 'desk',
    };
  });
}

/** Writes the shop into a folder. */
export function writeShop(folder: string): void {
  const write = (name: string, lines: string[]): void => writeFileSync(join(folder, name), `${lines.join('\n')}\n`);
  const log = events();
  write('ratings.csv', [
    'user,item,timestamp,rating,device',
    ...log.map((e) => `${e.user},${e.item},${e.time},${e.rating},${e.device}`),
  ]);
  write(
    'bare.csv',
    log.map((e) => `${e.user},${e.item},${e.time}`),
  );
  write('clicks.csv', [
    'user,item,timestamp,label',
    ...log.map((e) => `${e.user},${e.item},${e.time},${e.rating >= 4 ? 1 : 0}`),
  ]);
  write('movies.csv', ['id,title,year,genres,price', ...IDS.map(movie)]);
  write('new.csv', ['id,title,year,genres,price', movie('9001', 7), movie('9002', 11)]);
  write('users.csv', [
    'id,age,gender',
    ...Array.from({ length: USERS }, (_, u) => `${u},${[18, 25, 35, 50][u % 4]},${u % 2 ? 'F' : 'M'}`),
  ]);
  write('cold.txt', IDS.slice(30, 36));
  write('schema.json', ['{ "columns": [{ "name": "price", "type": "number", "missing": "median" }] }']);
  write('events.json', [JSON.stringify(log.map(({ device, ...event }) => ({ ...event, context: { device } })))]);
}
