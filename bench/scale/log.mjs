/**
 * The synthetic log of `npm run bench:scale`: a shop whose users come back, in the order of time, seeded. The same
 * (rows, users, items, seed) gives the same file, byte for byte.
 *
 * Each row is a user drawn at random (some are busier than others). With probability .6 the item is near the user's last
 * one, so that there is something to learn; otherwise it is popular (a power law). IDs are numbers as shops have them.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { seeded } from '../../dist/data/random.js';

/** Probability that an item follows from the one before it, and how far away it is at most. */
const NEAR = 0.6;
const SPREAD = 8;
/** Exponents of the power laws of activity and popularity. */
const BUSY = 1.4;
const POPULAR = 2.2;
const START = 1_600_000_000;
const SPAN = 2 * 365 * 86_400;

/** Writes `rows` rows of CSV (user, item, rating, timestamp) to a file. */
export function writeLog(file, { rows, users, items, seed = 1 }) {
  const random = seeded(seed, 0x5ca1e);
  const last = new Int32Array(users).fill(-1);
  const out = openSync(file, 'w');
  try {
    let text = 'user_id,item_id,rating,timestamp\n';
    for (let row = 0; row < rows; row++) {
      const user = Math.floor(users * random.next() ** BUSY);
      const near = last[user] >= 0 && random.chance(NEAR);
      const item = near
        ? (last[user] + 1 + random.below(SPREAD)) % items
        : Math.floor(items * random.next() ** POPULAR);
      last[user] = item;
      const time = START + Math.floor((row * SPAN) / rows);
      text += `${100_000 + user},${1_000_000 + item},${1 + random.below(5)},${time}\n`;
      if (text.length > 1 << 20) {
        writeSync(out, text);
        text = '';
      }
    }
    writeSync(out, text);
  } finally {
    closeSync(out);
  }
}
