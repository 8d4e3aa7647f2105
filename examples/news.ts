/**
 * News: what is worth recommending this morning was printed this morning, and has no clicks yet. So an article
 * is what its attributes say of it, and yesterday's are left out.
 *
 *     node dist/examples/news.js
 *
 * The log is made up: every reader has two sections and a writer to follow.
 */
import { MemoryFiles, Recommender } from 'attune';
import { addItems, trainModel, type TrainingEvent, type TrainingItem } from 'attune/train';

const SECTIONS = ['politics', 'sport', 'science', 'culture', 'travel', 'money'];
const WRITERS = ['Ada', 'Ben', 'Cleo', 'Dan'];
let state = 11;
const draw = (n: number): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
};

const articles: TrainingItem[] = [];
const print = (day: number): TrainingItem[] =>
  SECTIONS.flatMap((section) =>
    WRITERS.map((writer) => {
      const id = `${day}-${section}-${writer}`;
      return { id, title: `${section} by ${writer}, day ${day}`, attributes: { section, writer, day: `${day}` } };
    }),
  );
for (let day = 1; day <= 10; day++) for (const article of print(day)) articles.push(article);

const events: TrainingEvent[] = [];
for (let u = 0; u < 240; u++) {
  const sections = [u % SECTIONS.length, draw(SECTIONS.length)];
  const writer = draw(WRITERS.length);
  for (let day = 1; day <= 10; day++) {
    const section = SECTIONS[sections[draw(2)]];
    const by = WRITERS[draw(10) < 7 ? writer : draw(WRITERS.length)];
    events.push({ user: `reader ${u}`, item: `${day}-${section}-${by}`, time: day * 86400 + draw(3600) });
  }
}

const files = new MemoryFiles('news');
await trainModel(events, {
  items: articles,
  files,
  settings: { items: 'tower', idDropout: 0.5, memory: 'off', d: 32, ff: 64, blocks: 1, window: 10, budget: 512 },
  minInteractions: 3,
  epochs: 15,
  source: 'made-up reading',
});

// The morning of day 11: twenty-four articles that no one has read.
await addItems(
  files,
  print(11).map(({ id, title = id, attributes = {} }) => ({ id, title, attributes })),
);
const recommender = await Recommender.load(files);
const history = ['8-science-Cleo', '9-sport-Cleo', '10-science-Cleo'];
const { items } = await recommender.recommend({ history, k: 4, where: 'day>=11' });
console.log(`after ${history.join(', ')}:`);
for (const { title } of items) console.log(`  ${title}`);
recommender.close();
