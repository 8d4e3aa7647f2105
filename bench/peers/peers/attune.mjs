/** Attune itself, from dist/, as `attune train` uses it: recorded steps, replayed. */
import {
  AdamW,
  attention,
  crossEntropy,
  Device,
  fill,
  layernorm,
  matmul,
  mean,
  mul,
  ParameterArena,
  softmax,
  sub,
} from '../../../dist/engine/index.js';
import { makeSasrec } from './attune-sasrec.mjs';

export async function open() {
  const device = await Device.open({ backend: 'webgpu' });
  return { device: device.name, make: (spec, inputs) => cases[spec.kind]?.(device, spec, inputs) ?? null };
}

/** A step that gives tensors, by name. `prepare` runs before the outputs are looked at. */
function program(device, step, tensors, { prepare, readers } = {}) {
  const recorded = device.program('bench', step);
  return {
    run: () => recorded.run(),
    async wait(_, expected) {
      await device.settle(expected);
      return expected > 4 ? 0.92 * expected : 0; // what settle sleeps
    },
    async outputs() {
      prepare?.();
      const outputs = recorded.run();
      await device.settle();
      const values = {};
      for (const [name, tensor] of Object.entries({ ...outputs, ...readers?.() })) values[name] = await tensor.data();
      return values;
    },
    dispose() {
      recorded.dispose();
      for (const t of tensors) t.dispose();
      device.gpu.buffers.trim();
    },
  };
}

/** q, k, v [B, H, T, K] as rows of tokens [L, 3D]. */
function pack({ b, h, t, k }, parts) {
  const d = h * k;
  const out = new Float32Array(b * t * parts.length * d);
  parts.forEach((x, n) => {
    each({ b, h, t, k }, (from, token, head) => {
      out.set(x.subarray(from, from + k), (token * parts.length + n) * d + head * k);
    });
  });
  return out;
}

/** The other way round: column block n of so many. */
function unpack({ b, h, t, k }, rows, blocks, n) {
  const d = h * k;
  const out = new Float32Array(b * t * d);
  each({ b, h, t, k }, (to, token, head) => {
    const from = (token * blocks + n) * d + head * k;
    out.set(rows.subarray(from, from + k), to);
  });
  return out;
}

function each({ b, h, t, k }, visit) {
  for (let s = 0; s < b; s++)
    for (let head = 0; head < h; head++)
      for (let i = 0; i < t; i++) visit(((s * h + head) * t + i) * k, s * t + i, head);
}

function bounds(device, { b, t }) {
  const start = Uint32Array.from({ length: b * t }, (_, i) => Math.floor(i / t) * t);
  return { start: device.tensor(start), end: device.tensor(start.map((x) => x + t)) };
}

const cases = {
  matmul(device, { m, k, n, transB }, inputs) {
    const a = device.tensor(inputs.a, [m, k]);
    const b = device.tensor(inputs.b, transB ? [n, k] : [k, n]);
    return program(device, () => ({ c: matmul(a, b, { transB }) }), [a, b]);
  },

  softmax(device, { rows, cols }, inputs) {
    const x = device.tensor(inputs.x, [rows, cols]);
    return program(device, () => ({ y: softmax(x) }), [x]);
  },

  layernorm(device, { rows, cols }, inputs) {
    const x = device.tensor(inputs.x, [rows, cols]);
    const w = device.tensor(inputs.w);
    const b = device.tensor(inputs.b);
    return program(device, () => ({ y: layernorm(x, w, b) }), [x, w, b]);
  },

  attention(device, spec, { q, k, v }) {
    const { b, h, t, k: width } = spec;
    const qkv = device.tensor(pack(spec, [q, k, v]), [b * t, 3 * h * width]);
    const span = bounds(device, spec);
    const step = () => ({ o: attention(qkv, span, { heads: h, causal: true }) });
    const made = program(device, step, [qkv, span.start, span.end]);
    return { ...made, outputs: async () => ({ o: unpack(spec, (await made.outputs()).o, 1, 0) }) };
  },

  'attention-bwd'(device, spec, { q, k, v, g }) {
    const { b, h, t, k: width } = spec;
    const qkv = device.tensor(pack(spec, [q, k, v]), [b * t, 3 * h * width], { requiresGrad: true });
    const gradient = device.tensor(pack(spec, [g]), [b * t, h * width]);
    const span = bounds(device, spec);
    const step = () => {
      const o = attention(qkv, span, { heads: h, causal: true });
      device.tape.backwardFrom(o, () => gradient);
      return {};
    };
    // A leaf's gradient accumulates from run to run.
    const prepare = () => fill(qkv.grad, 0);
    const readers = () => ({ dqkv: qkv.grad });
    const made = program(device, step, [qkv, gradient, span.start, span.end], { prepare, readers });
    const outputs = async () => {
      const { dqkv } = await made.outputs();
      return Object.fromEntries(['dq', 'dk', 'dv'].map((name, n) => [name, unpack(spec, dqkv, 3, n)]));
    };
    return { ...made, outputs };
  },

  'cross-entropy'(device, { rows, d, v }, inputs) {
    const x = device.tensor(inputs.x, [rows, d], { requiresGrad: true });
    const table = device.tensor(inputs.table, [v, d], { requiresGrad: true });
    const targets = device.tensor(inputs.targets);
    const weights = device.tensor(new Float32Array(rows).fill(1 / rows));
    const step = () => {
      const loss = crossEntropy(x, table, targets, weights);
      loss.backward();
      return { loss };
    };
    const prepare = () => [x, table].forEach((t) => fill(t.grad, 0));
    const readers = () => ({ dx: x.grad, dtable: table.grad });
    return program(device, step, [x, table, targets, weights], { prepare, readers });
  },

  train(device, { rows, d, f, learningRate, checkSteps = 1 }, inputs) {
    const x = device.tensor(inputs.x, [rows, d]);
    const y = device.tensor(inputs.y, [rows, d]);
    const shapes = { w1: [d, f], b1: [f], w2: [f, d], b2: [d] };
    const specs = Object.entries(shapes).map(([name, shape]) => ({ name, shape, decay: false, init: inputs[name] }));
    const parameters = new ParameterArena(device, specs);
    const optimizer = new AdamW(parameters, { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, clip: 0 });
    const [w1, b1, w2, b2] = Object.keys(shapes).map((name) => parameters.get(name));
    const recorded = device.program('train', () => {
      const off = sub(matmul(matmul(x, w1, { bias: b1, activation: 'relu' }), w2, { bias: b2 }), y);
      const loss = mean(mul(off, off));
      loss.backward();
      optimizer.step(loss);
      return {};
    });
    let step = 0;
    const run = () => {
      optimizer.prepare({ seed: 1, step: ++step, learningRate, dropout: false });
      recorded.run();
    };
    return {
      async time(repeat) {
        for (let i = 0; i < repeat; i++) {
          run();
          await recorded.pace();
        }
        await recorded.settle();
      },
      async outputs() {
        for (let i = 0; i < checkSteps; i++) run();
        await device.settle();
        const losses = await optimizer.losses.data();
        return { losses: losses.slice(1, 1 + checkSteps) };
      },
      dispose() {
        for (const one of [recorded, optimizer, parameters, x, y]) one.dispose();
        device.gpu.buffers.trim();
      },
    };
  },

  sasrec: makeSasrec,
};
