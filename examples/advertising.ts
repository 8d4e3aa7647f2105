/**
 * Advertising: the probability of a click, not a ranking: what an impression is worth, and whether the probabilities can
 * be trusted.
 *
 *     node dist/examples/advertising.js
 *
 * The log is made up: impressions with and without a click; at a desk a person clicks on what is of interest with 60 %, on
 * a phone with 20 %, on other things with 3 %. The model reads the ads' topics and the device, so that it has an opinion of
 * an ad without impressions.
 */
import { RatingPredictor } from 'attune';
import { trainRatingModel, type TrainingEvent } from 'attune/train';

const TOPICS = ['garden', 'cars', 'games', 'fashion'];
let state = 9;
const draw = (n: number): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
};
const ad = (topic: number, i: number): string => `${TOPICS[topic]} ad ${i}`;
const events: TrainingEvent[] = [];
for (let u = 0; u < 200; u++) {
  const interest = draw(TOPICS.length);
  for (let t = 0; t < 48; t++) {
    const topic = draw(TOPICS.length);
    const device = draw(2) ? 'phone' : 'desk';
    const clicked = draw(100) < (topic !== interest ? 3 : device === 'desk' ? 60 : 20);
    const item = ad(topic, draw(6));
    events.push({ user: `person ${u}`, item, rating: Number(clicked), time: t, context: { device } });
  }
}

const items = TOPICS.flatMap((name, topic) =>
  [0, 1, 2, 3, 4, 5].map((i) => ({ id: ad(topic, i), attributes: { topic: name } })),
);

const { files, report } = await trainRatingModel(events, {
  task: 'ctr',
  items,
  reads: ['device'],
  split: { name: 'random', test: 0.2 },
  settings: { d: 16, ff: 32, window: 48, learningRate: 0.01 },
  epochs: 8,
  source: 'made-up impressions',
});
if (!report) throw new Error('nothing was tested');
const { AUC, logLoss } = report.metrics as { AUC: number; logLoss: number };
console.log(`on held-out impressions: AUC ${AUC.toFixed(3)}, log-loss ${logLoss.toFixed(3)}`);
console.log('predicted → clicked');
for (const { predicted, observed, count } of report.calibration ?? [])
  if (count > 0)
    console.log(`  ${(100 * predicted).toFixed(0).padStart(3)} % → ${(100 * observed).toFixed(0)} % of ${count}`);

// A user who clicked on garden ads and nothing else; what is each impression worth at 0.50 a click?
const predictor = await RatingPredictor.load(files);
const seen = [0, 1, 2, 3].flatMap((topic) =>
  [0, 1, 2].map((i) => ({ item: ad(topic, i), rating: Number(topic === 0), context: { device: 'desk' } })),
);
const asked = [...TOPICS.map((_, topic) => ad(topic, 5)), 'new garden ad', 'new cars ad'];
const described = ['garden', 'cars'].map((topic) => ({ id: `new ${topic} ad`, attributes: { topic } }));
for (const device of ['desk', 'phone']) {
  const found = await predictor.predict({ history: seen, items: asked, described, context: { device } });
  console.log(`\nat the ${device}`);
  for (const { title, prediction } of found.items)
    console.log(
      `  ${title.padEnd(14)} ${(100 * prediction).toFixed(0).padStart(3)} %, worth ${(0.5 * prediction).toFixed(3)}`,
    );
}
predictor.close();
