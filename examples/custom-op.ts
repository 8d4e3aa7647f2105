/**
 * An op of one's own: Snake, x + sin²(a x) / a, an activation that learns its frequency (Ziyin et al. 2020, eq. 3), as two
 * kernels and their references. It is checked in a few lines, and then it fits a wave.
 *
 *     node dist/examples/custom-op.js
 */
import { AdamW, checkOp, customOp, Device, matmul, mean, mul, schedule, sub } from 'attune/engine';

/** y [R, D] = x + sin²(a x) / a, with x [R, D] and a frequency a [D] for each column. */
const snake = customOp({
  name: 'snake',
  inputs: { x: 'f32', a: 'f32' },
  output({ x, a }) {
    if (x.rank !== 2 || a.rank !== 1 || x.shape[1] !== a.size)
      throw new Error(`expected x [R,D] and a [D], got [${x.shape}] and [${a.shape}]`);
    return x.shape;
  },
  params: { rows: 'u32', width: 'u32' },
  values: ({ x }) => ({ rows: x.shape[0], width: x.shape[1] }),
  forward: {
    // A thread owns one element.
    wgsl: `
      @compute @workgroup_size(64)
      fn main(@builtin(global_invocation_id) id: vec3u) {
        if (id.x >= p.rows * p.width) { return; }
        let f = a[id.x % p.width];
        let s = sin(f * x[id.x]);
        y[id.x] = x[id.x] + s * s / f;
      }`,
    grid: ({ rows, width }) => Math.ceil((rows * width) / 64),
  },
  backward: {
    // A thread owns one column, so that the sum for its frequency is always in the same order.
    wgsl: `
      @compute @workgroup_size(64)
      fn main(@builtin(global_invocation_id) id: vec3u) {
        let c = id.x;
        if (c >= p.width) { return; }
        let f = a[c];
        var total = 0.0;
        for (var i = c; i < p.rows * p.width; i += p.width) {
          let s = sin(f * x[i]);
          let t = sin(2.0 * f * x[i]);
          dx[i] = dy[i] * (1.0 + t);
          total += dy[i] * (x[i] * t / f - s * s / (f * f));
        }
        da[c] = total;
      }`,
    grid: ({ width }) => Math.ceil(width / 64),
  },
  reference: {
    forward({ x, a, y }, { rows, width }) {
      for (let i = 0; i < rows * width; i++) y[i] = x[i] + Math.sin(a[i % width] * x[i]) ** 2 / a[i % width];
    },
    backward({ x, a, dy, dx, da }, { rows, width }) {
      da.fill(0);
      for (let i = 0; i < rows * width; i++) {
        const f = a[i % width];
        dx[i] = dy[i] * (1 + Math.sin(2 * f * x[i]));
        da[i % width] += dy[i] * ((x[i] * Math.sin(2 * f * x[i])) / f - Math.sin(f * x[i]) ** 2 / f ** 2);
      }
    },
  },
});

const device = await Device.open();
// The kernels against the references, and these against central differences.
const frequencies = Float32Array.from({ length: 8 }, (_, i) => 0.5 + i / 4);
const inputs = { x: { shape: [7, 8] }, a: { shape: [8], values: frequencies } };
const tolerance = { abs: 2e-3, rel: 1e-3 }; // WGSL promises 2⁻¹¹ of a sine
await checkOp(({ x, a }) => snake({ x, a }), inputs, device, { tolerance });
console.log('snake: forward and backward are right');

// Points of a wave in [−6, 6], a network of one hidden layer.
device.seed(1);
const [R, D, STEPS] = [64, 32, 300];
const wave = (t: number): number => Math.sin(1.5 * t);
const model = {
  w: device.normal([1, D], { std: 1, requiresGrad: true }),
  b: device.uniform([D], { low: -3, high: 3, requiresGrad: true }),
  a: device.tensor(new Float32Array(D).fill(1), [D], { requiresGrad: true }),
  out: device.normal([D, 1], { std: 0.1, requiresGrad: true }),
};
const at = (from: number, to: number) => Array.from({ length: R }, (_, i) => from + ((to - from) * i) / (R - 1));
const x = device.tensor(at(-6, 6), [R, 1]);
const y = device.tensor(at(-6, 6).map(wave), [R, 1]);
const guess = () => matmul(snake({ x: matmul(x, model.w, { bias: model.b }), a: model.a }), model.out);
const optimizer = new AdamW(model, {
  learningRate: schedule({ learningRate: 0.02, warmup: 10, steps: STEPS }),
  clip: 1,
});
const step = device.program('training step', () => {
  const error = sub(guess(), y);
  const loss = mean(mul(error, error));
  loss.backward();
  optimizer.step(loss);
  return { loss };
});
for (let i = 1; i <= STEPS; i++) {
  optimizer.prepare();
  const { loss } = step.run();
  await step.pace();
  if (i % 100 === 0) console.log(`step ${i}: mean squared error ${(await loss.item()).toExponential(1)}`);
}
console.log(`\n${await model.a.show()}`);
device.close();
