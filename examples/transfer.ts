/**
 * A young shop that starts from the model of an old one: no shopper and no item in common, but the same kinds of goods.
 *
 *     node dist/examples/transfer.js
 */
import { demoShop, trainModel } from 'attune/train';

const settings = { d: 32, ff: 64, window: 50, maxTokens: 1024, learningRate: 0.003, transitions: 'off' };

const old = demoShop({ shoppers: 300, seed: 1 });
const model = await trainModel(old.events, {
  items: old.items,
  recipe: 'sasrec',
  settings,
  epochs: 10,
  source: 'the old shop',
});

// Goods of the same categories and brands, under other IDs.
const young = demoShop({ shoppers: 80, seed: 2 });
const renamed = (id: string): string => `young-${id}`;
const events = young.events.map((event) => ({ ...event, item: renamed(event.item) }));
const items = young.items.map((item) => ({ ...item, id: renamed(item.id) }));

const shared = { items, recipe: 'sasrec', settings, epochs: 4, source: 'the young shop' };
const nothing = await trainModel(events, shared);
const transferred = await trainModel(events, { ...shared, init: model.files, map: 'attributes' });

const { rows, explained = 0 } = transferred.config.init ?? { rows: 0 };
console.log(
  `${rows} items start from what their attributes suggest: ${(100 * explained).toFixed(0)} % of the variance`,
);
const best = ({ result }: typeof model): string => (result.bestNdcg ?? 0).toFixed(3);
console.log(`after 4 epochs: NDCG@10 ${best(nothing)} from nothing, ${best(transferred)} from the old shop`);
