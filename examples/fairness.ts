/**
 * Fair lists: readers of two genres get both, a small press is shown, and who is served worse is known.
 *
 *     node dist/examples/fairness.js
 *
 * The log is made up: seven in ten books of a reader are of the first genre, three of the second, and every sixth book is
 * of a small press. Beginners read few books, so that less is known of them.
 */
import { Recommender, type RecommendQuery } from 'attune';
import { attributeShares, groupGap, miscalibration, trainModel, type TrainingEvent } from 'attune/train';

const GENRES = ['crime', 'history', 'poetry', 'travel'];
const BOOKS = 15; // of each genre
const items = GENRES.flatMap((genre) =>
  Array.from({ length: BOOKS }, (_, i) => ({
    id: `${genre} ${i}`,
    attributes: { genre, press: i % 6 === 5 ? 'small' : 'large' },
  })),
);

// A small generator, so that every run sees the same readers.
let state = 11;
const draw = (n: number): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
};
const events: TrainingEvent[] = [];
const readers = Array.from({ length: 160 }, (_, u) => {
  const [first, second] = [u % 4, (u + 1 + (u % 3)) % 4];
  const books = Array.from({ length: u % 4 < 2 ? 8 : 16 }, () => {
    const genre = GENRES[draw(10) < 7 ? first : second];
    return `${genre} ${Math.min(draw(BOOKS), draw(BOOKS))}`; // low numbers are popular
  });
  const next = books.pop() as string; // what the lists are judged by
  books.forEach((item, time) => events.push({ user: `reader ${u}`, item, time: 1000 * time + u }));
  return { history: books, next, group: books.length < 10 ? 'beginners' : 'regulars' };
});

const { files } = await trainModel(events, {
  items,
  recipe: 'sasrec',
  settings: { d: 16, ff: 32, blocks: 1, window: 16, budget: 512, learningRate: 0.005 },
  epochs: 10,
  minInteractions: 1,
  includeSeen: true,
  source: 'made-up readers',
});
const recommender = await Recommender.load(files);
const attributes = new Map(items.map((item) => [item.id, item.attributes]));
const rows = items.map(({ id }) => id);
const genresOf = (row: number) => [attributes.get(rows[row])?.genre ?? ''];
const mixOf = (ids: readonly string[]) =>
  attributeShares(
    ids.map((id) => rows.indexOf(id)),
    genresOf,
  );

const ways: [string, Partial<RecommendQuery>][] = [
  ['as the model ranks', {}],
  ['calibrated by genre', { calibrate: { genre: 0.3 } }],
  ['small presses at least 20 %', { expose: [{ attribute: 'press', value: 'small', share: 0.2 }] }],
];
console.log('                             hits  apart from the history  small presses');
for (const [name, options] of ways) {
  let [hits, apart, small, all] = [0, 0, 0, 0];
  const hit: number[] = [];
  for (const { history, next } of readers) {
    const { items: list } = await recommender.recommend({ history, k: 10, includeSeen: true, ...options });
    const ids = list.map(({ id }) => id);
    hit.push(Number(ids.includes(next)));
    hits += Number(ids.includes(next));
    apart += miscalibration(mixOf(history), mixOf(ids));
    ids.forEach((id, at) => {
      const exposure = 1 / Math.log2(at + 2); // what a rank is worth
      all += exposure;
      if (attributes.get(id)?.press === 'small') small += exposure;
    });
  }
  const n = readers.length;
  const columns = [(hits / n).toFixed(2), (apart / n).toFixed(2), `${((100 * small) / all).toFixed(0)} %`];
  console.log(`${name.padEnd(28)} ${columns[0]} ${columns[1].padStart(23)} ${columns[2].padStart(14)}`);
  if (name === ways[0][0]) {
    const { highest, lowest, difference, p } = groupGap(
      hit,
      readers.map(({ group }) => group),
    );
    console.log(`  ${highest} are hit more often than ${lowest} by ${difference.toFixed(2)}, p ${p.toFixed(2)}`);
  }
}
recommender.close();
