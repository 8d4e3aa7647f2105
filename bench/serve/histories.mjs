/** Histories of a log as short as those of a visit: distinct, of 1 to 50 events, about 10 on average. */
import { openLog } from '../../dist/cli/input/data.js';

const LONGEST = 50;
const MEAN = 10;

/** Uniform numbers from 0 to 1 (mulberry32). */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Stretches of users' histories, in the order of time.
 * @returns {Promise<string[][]>} item IDs
 */
export async function drawHistories(file, count, seed = 1) {
  const log = await openLog(file, { columns: {}, maxBadRows: 1 });
  const rows = Array.from({ length: log.size }, (_, i) => i);
  const { time } = log;
  if (time) rows.sort((a, b) => time[a] - time[b] || a - b);
  const byUser = log.userIds.map(() => []);
  for (const i of rows) byUser[log.user[i]].push(log.itemIds[log.item[i]]);
  const draw = random(seed);
  const found = new Map();
  for (let tries = 0; found.size < count && tries < 100 * count; tries++) {
    const events = byUser[Math.floor(draw() * byUser.length)];
    const length = Math.ceil(-MEAN * Math.log(1 - draw()));
    if (length < 1 || length > Math.min(LONGEST, events.length)) continue;
    const from = Math.floor(draw() * (events.length - length + 1));
    const history = events.slice(from, from + length);
    found.set(history.join('\n'), history);
  }
  if (found.size < count) throw new Error(`${file}: expected ${count} distinct histories, found ${found.size}`);
  return [...found.values()];
}
