/**
 * Ratings: how many stars will she give it? Every rating of the log is predicted by a model that has not seen it (five
 * folds), and the last model, which has seen them all, answers for anyone whose ratings are given.
 *
 *     node dist/examples/ratings.js
 *
 * The log is made up: every user likes some genres more than others, is generous or strict, and rounds to whole stars.
 */
import { RatingPredictor } from 'attune';
import { trainRatingModel, type TrainingEvent } from 'attune/train';

const GENRES = ['drama', 'comedy', 'thriller'];
let state = 5;
const uniform = (): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};
const films = Array.from({ length: 45 }, (_, i) => ({
  id: `${GENRES[i % 3]} ${i}`,
  genre: i % 3,
  good: uniform() - 0.5,
}));
const events: TrainingEvent[] = [];
for (let u = 0; u < 150; u++) {
  const taste = GENRES.map(() => 3 * (uniform() - 0.5));
  const generous = uniform() - 0.5;
  for (let t = 0; t < 20; t++) {
    const film = films[Math.floor(uniform() * films.length)];
    const stars = 3 + generous + film.good + taste[film.genre] + 0.5 * (uniform() - 0.5);
    events.push({ user: `user ${u}`, item: film.id, rating: Math.min(5, Math.max(1, Math.round(stars))), time: t });
  }
}

const { files, report } = await trainRatingModel(events, {
  split: { name: 'folds', k: 3 },
  settings: { d: 16, ff: 32, window: 24 },
  epochs: 6,
  source: 'made-up ratings',
});
const rmse = (metrics: object | undefined): string => (metrics as { RMSE: number }).RMSE.toFixed(3);
console.log(`out of fold: RMSE ${rmse(report?.metrics)}; biases alone ${rmse(report?.baselines.biases)}`);

const predictor = await RatingPredictor.load(files);
const history = [0, 3, 6, 1, 4].map((i) => ({ item: films[i].id, rating: films[i].genre === 0 ? 5 : 2, time: i }));
console.log(`\nwho gives dramas five stars and comedies two:`);
const { items } = await predictor.predict({ history, items: ['drama 9', 'drama 12', 'comedy 7', 'comedy 10'] });
for (const { title, prediction } of items) console.log(`  ${title.padEnd(10)} ${prediction.toFixed(1)} stars`);
predictor.close();
