/**
 * A language model of characters on the bare engine: a transformer of two blocks learns a sonnet, and recites it.
 *
 *     node dist/examples/character-model.js
 *
 * It runs in a page as it is. Histories lie end to end: a batch is B windows of T characters, [B · T] tokens.
 */
import {
  AdamW,
  add,
  attention,
  crossEntropy,
  Device,
  embedding,
  layernorm,
  matmul,
  schedule,
  topk,
  uniform,
} from 'attune/engine';

const TEXT = `Shall I compare thee to a summer's day?
Thou art more lovely and more temperate:
Rough winds do shake the darling buds of May,
And summer's lease hath all too short a date;
Sometime too hot the eye of heaven shines,
And often is his gold complexion dimm'd;
And every fair from fair sometime declines,
By chance or nature's changing course untrimm'd;
But thy eternal summer shall not fade,
Nor lose possession of that fair thou ow'st;
Nor shall death brag thou wander'st in his shade,
When in eternal lines to time thou grow'st:
So long as men can breathe or eyes can see,
So long lives this, and this gives life to thee.
`;
const chars = [...new Set(TEXT)].sort();
const text = Uint32Array.from(TEXT, (char) => chars.indexOf(char));
const [V, B, T, D, STEPS] = [chars.length, 16, 32, 64, 200];

const device = await Device.open();
device.seed(1);
const weight = (...shape: number[]) => device.normal(shape, { std: 0.1, requiresGrad: true });
const norm = () => [1, 0].map((x) => device.tensor(new Float32Array(D).fill(x), [D], { requiresGrad: true }));
const model = {
  chars: weight(V, D),
  positions: weight(T, D),
  blocks: [1, 2].map(() => ({
    norm1: norm(),
    qkv: weight(D, 3 * D),
    out: weight(D, D),
    norm2: norm(),
    up: weight(D, 4 * D),
    down: weight(4 * D, D),
  })),
  norm: norm(),
  next: weight(V, D),
};

// What a batch brings, in buffers that are made once; each token's window is [start, end).
const u32 = (value: (i: number) => number) => device.tensor(Uint32Array.from({ length: B * T }, (_, i) => value(i)));
const [ids, targets, at] = [u32(() => 0), u32(() => 0), u32((i) => i % T)];
const bounds = { start: u32((i) => i - (i % T)), end: u32((i) => i - (i % T) + T) };

/** A state [D] for each token, which says what comes next. */
function states() {
  let x = add(embedding(model.chars, ids), embedding(model.positions, at));
  for (const { norm1, qkv, out, norm2, up, down } of model.blocks) {
    const looked = attention(matmul(layernorm(x, norm1[0], norm1[1]), qkv), bounds, { heads: 4, causal: true });
    x = matmul(looked, out, { residual: x });
    const hidden = matmul(layernorm(x, norm2[0], norm2[1]), up, { activation: 'gelu' });
    x = matmul(hidden, down, { residual: x });
  }
  return layernorm(x, model.norm[0], model.norm[1]);
}

const learningRate = schedule({ learningRate: 5e-3, warmup: 20, steps: STEPS });
const optimizer = new AdamW(model, { learningRate, clip: 1 });
const step = device.program('training step', () => {
  const loss = crossEntropy(states(), model.next, targets);
  loss.backward();
  optimizer.step(loss);
  return { loss };
});
for (let i = 1; i <= STEPS; i++) {
  const starts = uniform(B, 1, i, 0, text.length);
  const window = (shift: number) =>
    Uint32Array.from(
      { length: B * T },
      (_, t) => text[(Math.floor(starts[Math.floor(t / T)]) + (t % T) + shift) % text.length],
    );
  device.write(ids, window(0));
  device.write(targets, window(1));
  optimizer.prepare();
  const { loss } = step.run();
  await step.pace();
  if (i % 50 === 0) console.log(`step ${i}: loss ${(await loss.item()).toFixed(3)}`);
}

const likeliest = device.program('likeliest', () =>
  device.noGrad(() => ({ best: topk(matmul(states(), model.next, { transB: true }), 1).indices })),
);
let said = 'Shall I compare thee to';
for (let i = 0; i < 60; i++) {
  const seen = said.slice(-T);
  device.write(
    ids,
    Uint32Array.from({ length: B * T }, (_, t) => Math.max(0, chars.indexOf(seen[t] ?? ''))),
  );
  const { best } = await likeliest.values();
  said += chars[best[seen.length - 1]];
}
console.log(`\n${said}`);
device.close();
