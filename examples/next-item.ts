/**
 * The next item: an encoder alone reads a history and scores the whole catalog. From events in memory to a model in
 * memory, in one call.
 *
 *     node dist/examples/next-item.js
 */
import { Recommender } from 'attune';
import { demoShop, trainModel } from 'attune/train';

const { events, items } = demoShop({ shoppers: 400 });
const { files, metrics, result } = await trainModel(events, {
  items,
  recipe: 'sasrec',
  settings: { d: 32, ff: 64, window: 50, budget: 1024, learningRate: 0.003, validateUsers: 200 },
  epochs: 12,
  includeSeen: true, // in a shop people buy again
  source: 'the demo shop',
});
console.log(`${result.tokens.toLocaleString('en-US')} purchases learned from in ${result.step} steps`);
console.log(`validation: NDCG@10 ${metrics?.['NDCG@10'].toFixed(3)}, HR@10 ${metrics?.['HR@10'].toFixed(3)}`);

const recommender = await Recommender.load(files);
const shopper = events[0].user;
const history = events.filter(({ user }) => user === shopper).map(({ item }) => item);
const title = new Map(items.map(({ id, title }) => [id, title]));
console.log(
  `\n${shopper} bought ${history
    .slice(-3)
    .map((id) => title.get(id))
    .join(', ')}. Next:`,
);
const answer = await recommender.recommend({ history, k: 5, includeSeen: true });
for (const item of answer.items) console.log(`  ${item.score.toFixed(2)}  ${item.title}`);
recommender.close();
