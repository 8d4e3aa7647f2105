/**
 * User × item cross-attention with a sigmoid and BCE, on the bare engine: the candidate asks the user's events what they
 * know about it, and the answer is a probability.
 *
 *     node dist/examples/cross-attention.js
 *
 * Made up: a user has had eight goods; a candidate is wanted if, and only if, a good of its own kind is among them. No
 * average over the history can tell, a single event decides, and attention has to find it.
 */
import {
  AdamW,
  bceWithLogits,
  crossAttention,
  crossBounds,
  Device,
  embedding,
  groupRows,
  layernorm,
  matmul,
  mul,
  normal,
  ParameterArena,
  rowGroupLayout,
  sigmoid,
} from 'attune/engine';

const [USERS, EVENTS, GOODS, KINDS, D] = [64, 8, 60, 12, 32];
const kind = (good: number): number => good % KINDS;
const STEPS = 300;

const device = await Device.open();
const spec = (name: string, shape: number[], init: Float32Array, decay = false) => ({ name, shape, init, decay });
const size = (n: number, stream: number, std: number) => normal(n, 1, stream, std);
const parameters = new ParameterArena(device, [
  { ...spec('goods', [GOODS, D], size(GOODS * D, 0, 0.3)), table: true },
  spec('query', [D, D], size(D * D, 1, D ** -0.5), true),
  spec('keys', [D, 2 * D], size(D * 2 * D, 2, D ** -0.5), true),
  spec('answer', [D, 1], size(D, 3, D ** -0.5), true),
  spec('bias', [1], new Float32Array(1)),
  spec('norm.weight', [D], new Float32Array(D).fill(1)),
  spec('norm.bias', [D], new Float32Array(D)),
]);
const p = (name: string) => parameters.get(name);
const optimizer = new AdamW(parameters, { beta1: 0.9, beta2: 0.98, eps: 1e-8, weightDecay: 0, clip: 1 });

// What a batch brings: histories [USERS · EVENTS], one candidate each, what became of it; buffers are made once.
const u32 = (n: number) => device.tensor(new Uint32Array(n)).keep();
const history = { ids: u32(USERS * EVENTS), groups: u32(rowGroupLayout(USERS * EVENTS).words) };
const candidate = { ids: u32(USERS), groups: u32(rowGroupLayout(USERS).words) };
const wanted = device.zeros([USERS]).keep();
const weights = device.tensor(new Float32Array(USERS).fill(1 / USERS)).keep();
// One query for eight keys, user after user.
const offsets = (each: number) => Array.from({ length: USERS + 1 }, (_, u) => u * each);
const plain = crossBounds(offsets(1), offsets(EVENTS), USERS, USERS * EVENTS);
const bounds = {
  start: device.tensor(plain.start).keep(),
  end: device.tensor(plain.end).keep(),
  from: device.tensor(plain.from).keep(),
  to: device.tensor(plain.to).keep(),
};

/** Logits [USERS]: is the candidate wanted? */
function logits() {
  const events = embedding(parameters.table('goods'), history.ids, history.groups);
  const asked = embedding(parameters.table('goods'), candidate.ids, candidate.groups);
  const found = crossAttention(matmul(asked, p('query')), matmul(events, p('keys')), bounds, { heads: 2 });
  // What was found is compared with what was asked for.
  const agreement = layernorm(mul(found, asked), p('norm.weight'), p('norm.bias'));
  return matmul(agreement, p('answer'), { bias: p('bias') }).reshape([USERS]);
}
const training = device.program('training step', () => {
  const loss = bceWithLogits(logits(), wanted, weights);
  loss.backward();
  optimizer.step(loss);
  return {};
});
const asking = device.program('asking', () => device.noGrad(() => ({ probability: sigmoid(logits()) })));

let state = 3;
const draw = (n: number): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
};
function batch(): Float32Array {
  const had = Uint32Array.from({ length: USERS * EVENTS }, () => draw(GOODS));
  const asks = Uint32Array.from({ length: USERS }, () => draw(GOODS));
  const yes = Float32Array.from(asks, (good, u) => {
    const kinds = Array.from(had.subarray(u * EVENTS, (u + 1) * EVENTS), kind);
    return kinds.includes(kind(good)) ? 1 : 0;
  });
  device.write(history.ids, had);
  device.write(history.groups, groupRows(had, had.length, had.length).data);
  device.write(candidate.ids, asks);
  device.write(candidate.groups, groupRows(asks, USERS, USERS).data);
  device.write(wanted, yes);
  return yes;
}

for (let step = 1; step <= STEPS; step++) {
  batch();
  optimizer.prepare({ seed: 1, step, learningRate: 0.01, dropout: false });
  training.run();
  await training.pace();
  if (step % 100 === 0) console.log(`step ${step}: loss ${(await optimizer.losses.data())[step].toFixed(3)}`);
}

let right = 0;
for (let round = 0; round < 8; round++) {
  const yes = batch();
  const { probability } = asking.run();
  const said = await probability.data();
  right += yes.reduce((sum, y, u) => sum + Number(said[u] > 0.5 === (y === 1)), 0);
}
console.log(`\nright about ${((100 * right) / (8 * USERS)).toFixed(0)} % of new users and candidates`);
device.close();
