/**
 * Privacy: a model that is much the same with any one reader more or less, so that it tells next to nothing of any of
 * them, and of which the guarantee is a number.
 *
 *     node dist/examples/private.js
 *
 * The log is made up: readers go through one of four series, a volume after the other.
 */
import { MemoryFiles, Recommender } from 'attune';
import { trainModel, type TrainingEvent } from 'attune/train';

const SERIES = ['Harbor', 'Meadow', 'Summit', 'Tundra'];
const VOLUMES = 5;

const events: TrainingEvent[] = [];
for (let reader = 0; reader < 400; reader++) {
  for (let t = 0; t < 9; t++) {
    const volume = ((reader * 3 + t) % VOLUMES) + 1;
    events.push({ user: `reader ${reader}`, item: `${SERIES[reader % SERIES.length]} ${volume}`, time: t });
  }
}

const files = new MemoryFiles('reading');
const { config, metrics } = await trainModel(events, {
  files,
  device: 'cpu', // faster than compiling kernels for a model this small
  dp: { epsilon: 8, delta: 1e-6, rate: 0.5, steps: 30 },
  settings: { d: 8, ff: 8, window: 8, learningRate: 0.05 },
  source: 'made-up reading',
});

const { epsilon, delta, noise, clip } = config.privacy ?? { epsilon: 0, delta: 0, noise: 0, clip: 0 };
console.log(
  `epsilon ${epsilon} at delta ${delta}: noise ${noise.toFixed(2)} times the norm ${clip} of a reader's gradient`,
);
console.log(`validated: ${metrics === null ? 'no, that would read the log without noise' : 'yes'}`);

const recommender = await Recommender.load(files);
for (const history of [
  ['Harbor 1', 'Harbor 2'],
  ['Tundra 2', 'Tundra 3'],
]) {
  const { items } = await recommender.recommend({ history, k: 2 });
  console.log(`after ${history.join(', ')}: ${items.map(({ title }) => title).join(', ')}`);
}
recommender.close();
