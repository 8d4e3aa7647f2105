/**
 * Self-attention alone: what a shopper put into the basket reads what lies there already, and nothing else is learned.
 *
 *     node dist/examples/self-attention.js
 *
 * Every event asks a question (its query), every earlier event offers a key and a value; softmax(q kᵀ / √K) says how much
 * of each value the event takes home. One fused kernel does all of it, and never holds the weights; here they are made
 * by hand beside it, to be looked at.
 */
import { add, attention, concat, Device, matmul, scale, softmax } from 'attune/engine';

// Four columns say what a good is: [coffee, tea, sport, outdoor]. Queries, keys and values are the goods themselves.
const goods: Record<string, number[]> = {
  espresso: [4, 0, 0, 0],
  'running shoes': [0, 0, 4, 1],
  'green tea': [0, 4, 0, 0],
  'rain jacket': [0, 0, 1, 4],
  'milk frother': [3, 1, 0, 0],
};
const names = Object.keys(goods);
const length = names.length;

const device = await Device.open();
const x = device.tensor(Object.values(goods).flat(), [length, 4]);
const mask = device.tensor(
  names.flatMap((_, i) => names.map((_, j) => (j <= i ? 0 : -1e9))),
  [length, length],
);

// The long way: all weights [L, L], later events masked.
const weights = softmax(add(scale(matmul(x, x, { transB: true }), 1 / Math.sqrt(4)), mask));
const slowly = await matmul(weights, x).data();

// The fused kernel: one sequence, every token's bounds are [0, L).
const bounds = {
  start: device.tensor(new Uint32Array(length)),
  end: device.tensor(new Uint32Array(length).fill(length)),
};
const fused = await attention(concat([x, x, x], 1), bounds, { heads: 1, causal: true }).data();

const w = await weights.data();
console.log(`on ${device.name}\n`);
names.forEach((name, i) => {
  const looks = names
    .slice(0, i + 1)
    .map((other, j) => ({ other, share: w[i * length + j] }))
    .filter(({ share }) => share > 0.02)
    .sort((a, b) => b.share - a.share)
    .map(({ other, share }) => `${other} ${(100 * share).toFixed(0)} %`);
  console.log(`${name.padEnd(14)} looks at ${looks.join(', ')}`);
});
let apart = 0;
for (let i = 0; i < fused.length; i++) apart = Math.max(apart, Math.abs(fused[i] - slowly[i]));
console.log(`\nthe fused kernel differs from the long way by ${apart.toExponential(0)} at most`);
device.close();
