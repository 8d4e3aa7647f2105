/**
 * A recommender that is not ours, on the bare engine: DeepFM (Guo et al., IJCAI 2017). Will this visitor click on this ad, on
 * this device, at this hour? A factorization machine and a network of two layers read the same embeddings, and their sum is
 * the answer.
 *
 *     node dist/examples/deepfm.js
 *
 * Made up: what is clicked depends on pairs (an interest and a topic, a device and an hour), which no sum over single fields
 * can tell.
 */
import {
  AdamW,
  add,
  bceWithLogits,
  Device,
  dropout,
  embedding,
  matmul,
  mul,
  scale,
  schedule,
  sigmoid,
  sub,
  sum,
  uniform,
} from 'attune/engine';

// Values of each field; all fields share one table, in which a field's values follow those of the field before.
const FIELDS = { visitor: 200, ad: 80, device: 3, hour: 24 };
const sizes = Object.values(FIELDS);
const [F, K, B, H, STEPS] = [sizes.length, 8, 256, 32, 300];
const first = sizes.map((_, f) => sizes.slice(0, f).reduce((a, b) => a + b, 0));
const values = sizes.reduce((a, b) => a + b, 0);

const device = await Device.open();
device.seed(1);
const weight = (...shape: number[]) => device.normal(shape, { std: shape[0] ** -0.5, requiresGrad: true });
const zeros = (...shape: number[]) => device.tensor(new Float32Array(shape[0]), shape, { requiresGrad: true });
const model = {
  bias: zeros(1),
  single: device.tensor(new Float32Array(values), [values, 1], { requiresGrad: true }),
  factors: device.normal([values, K], { std: 0.1, requiresGrad: true }),
  layers: [
    { w: weight(F * K, H), b: zeros(H) },
    { w: weight(H, H), b: zeros(H) },
  ],
  answer: weight(H, 1),
};
const ids = device.tensor(new Uint32Array(B * F), [B, F]);
const clicked = device.zeros([B, 1]);

/** Logits [B, 1]. */
function logits() {
  const single = add(sum(embedding(model.single, ids), 1), model.bias);
  const factors = embedding(model.factors, ids); // [B, F, K]
  // Σ over pairs of ⟨vᵢ, vⱼ⟩ = ½ Σ ((Σᵢ vᵢ)² − Σᵢ vᵢ²) (Rendle 2010, eq. 1 and lemma 3.1)
  const sums = sum(factors, 1);
  const squares = sum(mul(factors, factors), 1);
  const pairs = sum(sub(mul(sums, sums), squares), -1, { keepdims: true });
  const side = factors.reshape([B, F * K]); // the fields' embeddings, side by side
  let hidden = side;
  for (const { w, b } of model.layers) hidden = dropout(matmul(hidden, w, { bias: b, activation: 'relu' }), 0.1);
  return add(add(single, scale(pairs, 0.5)), matmul(hidden, model.answer));
}

const optimizer = new AdamW(model, {
  learningRate: schedule({ learningRate: 0.02, warmup: 10, steps: STEPS, floor: 0.05 }),
  weightDecay: 0.01,
  clip: 1,
});
const step = device.program('training step', () => {
  const loss = bceWithLogits(logits(), clicked);
  loss.backward();
  optimizer.step(loss);
  return { loss };
});
const ask = device.program('asking', () => device.noGrad(() => ({ probability: sigmoid(logits()) })));

/** B visits; whether each ended in a click. */
function visits(seed: number): Uint8Array {
  const draws = uniform(B * (F + 1), seed, 0);
  const rows = Array.from({ length: B }, (_, b) => sizes.map((n, f) => Math.floor(draws[b * (F + 1) + f] * n)));
  device.write(
    ids,
    rows.flatMap((row) => row.map((value, f) => first[f] + value)),
  );
  const wanted = rows.map(([visitor, ad, screen, hour], b) => {
    const interest = visitor % 5 === ad % 5 ? 2 : -2;
    const moment = (screen === 0) === hour >= 18 ? 1 : -1; // phones in the evening, the others by day
    return Number(draws[b * (F + 1) + F] < 1 / (1 + Math.exp(-1.5 * (interest + moment))));
  });
  device.write(clicked, wanted);
  return Uint8Array.from(wanted);
}

device.training = true; // dropout acts
for (let i = 1; i <= STEPS; i++) {
  visits(i);
  optimizer.prepare();
  const { loss } = step.run();
  await step.pace();
  if (i % 100 === 0) console.log(`step ${i}: loss ${(await loss.item()).toFixed(3)}`);
}
device.training = false;

let [above, pairs] = [0, 0];
for (let round = 0; round < 4; round++) {
  const truth = visits(10_000 + round);
  const { probability } = await ask.values();
  for (let a = 0; a < B; a++) {
    for (let b = 0; b < B; b++) {
      if (truth[a] !== 1 || truth[b] !== 0) continue;
      pairs++;
      above += Number(probability[a] > probability[b]) + Number(probability[a] === probability[b]) / 2;
    }
  }
}
console.log(`\nAUC of new visits ${(above / pairs).toFixed(3)}`);
device.close();
