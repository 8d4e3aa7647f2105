/**
 * Music: sessions, songs that come back, and a listener whose mood turns while listening.
 *
 *     node dist/examples/music.js
 *
 * The log is made up: listeners play sessions of one mood, and within a mood every song has a song that follows it. What
 * comes next is therefore known, and the model is asked for it.
 */
import { Recommender } from 'attune';
import { trainModel, type TrainingEvent } from 'attune/train';

const MOODS = ['calm', 'dance', 'rock', 'focus'];
const SONGS = 12; // of each mood
const song = (mood: number, i: number): string => `${MOODS[mood]}-${(i + SONGS) % SONGS}`;

// A small generator, so that every run sees the same listeners.
let state = 7;
const draw = (n: number): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
};
const events: TrainingEvent[] = [];
for (let u = 0; u < 200; u++) {
  let time = draw(1000);
  for (let session = 0; session < 5; session++) {
    const mood = draw(MOODS.length);
    let at = draw(SONGS);
    for (let i = 0; i < 6; i++) {
      events.push({ user: `listener ${u}`, item: song(mood, at), time: time++ });
      at += draw(10) < 8 ? 1 : 2; // the playlist's order, at times with a skip
    }
  }
}

const { files, components } = await trainModel(events, {
  recipe: 'sasrec',
  settings: { d: 32, ff: 64, heads: 2, window: 30, budget: 1024, learningRate: 0.005, dropout: 0.1, bias: 'relative' },
  epochs: 15,
  includeSeen: true, // a song may come again
  source: 'made-up listening',
});
console.log(
  `HR@1 ${components.transformer['HR@1'].toFixed(2)} (the transformer alone) among ${MOODS.length * SONGS} songs`,
);

const recommender = await Recommender.load(files);
// A session goes on: every song that is played is an event, and what comes next is asked anew.
const session = recommender.session({ history: [song(0, 3), song(0, 4)], includeSeen: true });
for (const played of [song(0, 5), song(1, 7), song(1, 8)]) {
  const { items } = await session.update(played, { k: 3 });
  console.log(`after ${played.padEnd(8)} → ${items.map(({ id }) => id).join(', ')}`);
}
recommender.close();
