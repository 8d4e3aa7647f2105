/**
 * A shop: what fits the basket, within a budget, not five of the same kind, and with a reason that can be shown.
 *
 *     node dist/examples/shop.js
 */
import { Recommender } from 'attune';
import { demoShop, trainModel } from 'attune/train';

const { events, items } = demoShop({ shoppers: 400, seed: 2 });
const { files } = await trainModel(events, {
  items,
  recipe: 'sasrec',
  settings: { d: 32, ff: 64, window: 50, budget: 1024, learningRate: 0.003, validateUsers: 200 },
  epochs: 12,
  source: 'the demo shop',
});

const recommender = await Recommender.load(files);
const shopper = events[0].user;
const history = events.filter(({ user }) => user === shopper).map(({ item }) => item);

const plain = await recommender.recommend({ history, k: 5 });
const fitted = await recommender.recommend({
  history,
  k: 5,
  where: 'price<30', // attributes are columns of the items
  caps: { category: 2 }, // at most two of a category
  diversity: 0.2,
  explain: 'occlusion',
});
console.log('as the model ranks:');
for (const { title, attributes } of plain.items)
  console.log(`  ${title} (${attributes.category}, ${attributes.price})`);
console.log('\nunder 30, at most two of a category, less alike:');
for (const { title, attributes, explanation } of fitted.items) {
  console.log(`  ${title} (${attributes.category}, ${attributes.price})`);
  console.log(`    ${explanation?.sentence}`);
}
recommender.close();
