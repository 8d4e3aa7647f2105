/** TensorFlow.js on its WebGPU backend (over the same Dawn), or on WebAssembly with SIMD and two threads. */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { napping, openDawn } from './dawn.mjs';

const require = createRequire(import.meta.url);

export async function open(name) {
  const wasm = name === 'tfjs-wasm';
  const adapter = wasm ? null : await openDawn();
  const tf = quietly(() => require('@tensorflow/tfjs'));
  if (wasm) {
    const backend = require('@tensorflow/tfjs-backend-wasm');
    backend.setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`);
    backend.setThreadsCount(2);
  } else require('@tensorflow/tfjs-backend-webgpu');
  await tf.setBackend(wasm ? 'wasm' : 'webgpu');
  await tf.ready();
  const threads = () => require('@tensorflow/tfjs-backend-wasm').getThreadsCount();
  const device = wasm ? `wasm, ${threads()} threads` : adapter;
  return { device, make: (spec, inputs) => (cases[spec.kind] ? wrap(tf, cases[spec.kind](tf, spec, inputs)) : null) };
}

/** The whole package (the core alone has no gradients in Node) greets on standard error and suggests another one. */
function quietly(load) {
  const { warn } = console;
  console.warn = () => {};
  try {
    return load();
  } finally {
    console.warn = warn;
  }
}

/** @param made { step(): tensors by name (not disposed), outputs? } */
function wrap(tf, { step, outputs }) {
  const backend = tf.backend();
  return {
    run() {
      tf.dispose(tf.tidy(step));
    },
    async wait(_, expected) {
      if (!backend.queue) return 0;
      backend.ensureCommandEncoderReady();
      backend.endComputePassEncoder();
      backend.submitQueue();
      return napping(expected, () => backend.queue.onSubmittedWorkDone());
    },
    async outputs() {
      if (outputs) return outputs();
      const made = tf.tidy(step);
      const values = {};
      for (const [name, tensor] of Object.entries(made)) values[name] = await tensor.data();
      tf.dispose(made);
      return values;
    },
    dispose: () => tf.disposeVariables(),
  };
}

/** softmax(q kᵀ / √K + mask) v over [BH, T, K], the mask added as the library's own transformer layers do. */
function attend(tf, { t, k }) {
  const mask = tf.tensor2d(
    Float32Array.from({ length: t * t }, (_, i) => (i % t > Math.floor(i / t) ? -1e9 : 0)),
    [t, t],
  );
  return (q, keys, v) => {
    const scores = tf.mul(tf.matMul(q, keys, false, true), 1 / Math.sqrt(k));
    return tf.matMul(tf.softmax(tf.add(scores, mask)), v);
  };
}

const cases = {
  matmul(tf, { m, k, n, transB }, inputs) {
    const a = tf.tensor2d(inputs.a, [m, k]);
    const b = tf.tensor2d(inputs.b, transB ? [n, k] : [k, n]);
    return { step: () => ({ c: tf.matMul(a, b, false, transB) }) };
  },

  softmax(tf, { rows, cols }, inputs) {
    const x = tf.tensor2d(inputs.x, [rows, cols]);
    return { step: () => ({ y: tf.softmax(x) }) };
  },

  layernorm(tf, { rows, cols, eps }, inputs) {
    const x = tf.tensor2d(inputs.x, [rows, cols]);
    const [w, b] = [tf.tensor1d(inputs.w), tf.tensor1d(inputs.b)];
    const step = () => {
      const { mean, variance } = tf.moments(x, -1, true);
      const normal = tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, eps)));
      return { y: tf.add(tf.mul(normal, w), b) };
    };
    return { step };
  },

  attention(tf, spec, inputs) {
    const { b, h, t, k } = spec;
    const [q, keys, v] = [inputs.q, inputs.k, inputs.v].map((x) => tf.tensor3d(x, [b * h, t, k]));
    const forward = attend(tf, spec);
    return { step: () => ({ o: forward(q, keys, v) }) };
  },

  'attention-bwd'(tf, spec, inputs) {
    const { b, h, t, k } = spec;
    const [q, keys, v, g] = [inputs.q, inputs.k, inputs.v, inputs.g].map((x) => tf.tensor3d(x, [b * h, t, k]));
    const gradients = tf.grads(attend(tf, spec));
    const step = () => {
      const [dq, dk, dv] = gradients([q, keys, v], g);
      return { dq, dk, dv };
    };
    return { step };
  },

  'cross-entropy'(tf, { rows, d, v }, inputs) {
    const x = tf.tensor2d(inputs.x, [rows, d]);
    const table = tf.tensor2d(inputs.table, [v, d]);
    const hot = tf.cast(tf.oneHot(tf.tensor1d(Int32Array.from(inputs.targets), 'int32'), v), 'float32');
    const loss = (a, b) => tf.mul(tf.sum(tf.mul(tf.logSoftmax(tf.matMul(a, b, false, true)), hot)), -1 / rows);
    const both = tf.valueAndGrads(loss);
    const step = () => {
      const { value, grads } = both([x, table]);
      return { loss: value, dx: grads[0], dtable: grads[1] };
    };
    return { step };
  },

  train(tf, { rows, d, f, learningRate, checkSteps = 1 }, inputs) {
    const x = tf.tensor2d(inputs.x, [rows, d]);
    const y = tf.tensor2d(inputs.y, [rows, d]);
    const [w1, b1, w2, b2] = [
      tf.tensor2d(inputs.w1, [d, f]),
      tf.tensor1d(inputs.b1),
      tf.tensor2d(inputs.w2, [f, d]),
      tf.tensor1d(inputs.b2),
    ].map((t) => tf.variable(t));
    const adam = tf.train.adam(learningRate, 0.9, 0.999, 1e-8);
    const loss = () => {
      const hidden = tf.relu(tf.add(tf.matMul(x, w1), b1));
      return tf.mean(tf.square(tf.sub(tf.add(tf.matMul(hidden, w2), b2), y)));
    };
    const step = () => ({ loss: adam.minimize(loss, true) });
    const outputs = async () => {
      const losses = [];
      for (let i = 0; i < checkSteps; i++) {
        const { loss: value } = step();
        losses.push((await value.data())[0]);
        value.dispose();
      }
      return { losses };
    };
    return { step, outputs };
  },
};
