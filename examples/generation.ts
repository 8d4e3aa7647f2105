/**
 * Generation: an encoder reads what a learner has done, a decoder continues it lesson by lesson, each one predicted from
 * all before it. Greedily, along four paths at once (beam), and by chance.
 *
 *     node dist/examples/generation.js
 */
import { Recommender } from 'attune';
import { trainModel } from 'attune/train';

const SUBJECTS = ['algebra', 'biology', 'chess', 'drawing', 'ethics'];
const LESSONS = 10;

// 250 learners: lessons of a subject in order, most of them, then those of the next subject.
const events = Array.from({ length: 250 }, (_, learner) => {
  const taken: string[] = [];
  for (let s = 0; s < 2; s++) {
    const subject = SUBJECTS[(learner + s) % SUBJECTS.length];
    for (let lesson = 1 + (learner % 3); lesson <= LESSONS; lesson++)
      if ((learner * 31 + lesson * 17) % 11 > 0) taken.push(`${subject} ${lesson}`);
  }
  return taken.map((item, time) => ({ user: `learner ${learner}`, item, time }));
}).flat();

const { files, result } = await trainModel(events, {
  recipe: 'encoder-decoder',
  settings: {
    d: 32,
    ff: 64,
    blocks: 1,
    decoder: 1,
    window: 16,
    continuation: 6,
    budget: 1024,
    learningRate: 0.01,
    dropout: 0.1,
    memory: 'off',
  },
  epochs: 12,
  source: 'learners',
});
console.log(`${result.step} steps, the last loss ${result.losses.at(-1)?.loss.toFixed(2)}`);

const recommender = await Recommender.load(files);
const history = ['algebra 2', 'algebra 3', 'algebra 4'];
console.log(`\nafter ${history.join(', ')}:`);
const tell = (how: string, { items, logProbability }: { items: { id: string }[]; logProbability: number }): void =>
  console.log(
    `  ${how.padEnd(8)} ${items.map(({ id }) => id).join(', ')}   (p ${Math.exp(logProbability).toFixed(3)})`,
  );
tell('greedy', await recommender.generate(history, { steps: 4 }));
const { beams = [] } = await recommender.generate(history, { steps: 4, decode: 'beam', beams: 4 });
beams.forEach((beam, i) => {
  tell(`beam ${i + 1}`, beam);
});
for (const seed of [1, 2]) {
  tell(`drawn ${seed}`, await recommender.generate(history, { steps: 4, decode: 'nucleus', topP: 0.95, seed }));
}
recommender.close();
