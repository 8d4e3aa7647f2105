/**
 * Predicted ratings: who liked what, in; how a new visitor would like the rest, out.
 *
 *     node dist/examples/ratings.js
 *
 * Made up: viewers like either love stories or war films, and some are harsher than others.
 */
import { RatingPredictor } from 'attune';
import { trainRatingModel } from 'attune/train';

const films = Array.from({ length: 24 }, (_, i) => (i < 12 ? `rom-${i + 1}` : `war-${i - 11}`));
const events = Array.from({ length: 120 }, (_, viewer) =>
  Array.from({ length: 10 }, (_, t) => {
    const film = films[(viewer * 7 + t * (5 + 2 * (viewer % 3))) % films.length];
    const liked = film.startsWith('rom') === (viewer % 2 === 0);
    const harsh = viewer % 5 === 0 ? 1 : 0;
    return { user: `viewer ${viewer}`, item: film, rating: Math.max(1, (liked ? 5 : 2) - harsh), time: t };
  }),
).flat();

const { files, report } = await trainRatingModel(events, {
  split: { name: 'random', test: 0.2 },
  settings: { d: 32, heads: 1, ff: 32, budget: 256, epochs: 8, factors: 3, parts: 2 },
  source: 'viewers',
});
const error = (figures: object | undefined) => (figures as { RMSE: number }).RMSE.toFixed(3);
console.log(
  `on ratings not trained on: RMSE ${error(report?.metrics)}; biases alone ${error(report?.baselines.biases)}`,
);

const predictor = await RatingPredictor.load(files);
const history = [
  { item: 'rom-3', rating: 5, time: 0 },
  { item: 'war-4', rating: 2, time: 1 },
  { item: 'rom-8', rating: 5, time: 2 },
];
const { items } = await predictor.predict({ history, items: ['rom-1', 'war-1'] });
for (const { id, prediction } of items) console.log(`${id}   ${prediction.toFixed(1)} stars`);
predictor.close();
