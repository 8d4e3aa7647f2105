/**
 * jax-js on WebGPU (over the same Dawn) or WebAssembly; every step is one `jit`, which fuses. A function consumes the
 * arrays it is given: `.ref` keeps one.
 */
import { napping, openDawn } from './dawn.mjs';

export async function open(name) {
  const wasm = name === 'jaxjs-wasm';
  const adapter = wasm ? 'wasm' : await openDawn();
  addIteratorHelpers();
  const jax = await import('@jax-js/jax');
  const backend = wasm ? 'wasm' : 'webgpu';
  if (!(await jax.init(backend)).includes(backend)) throw new Error(`jax-js has no ${backend} here`);
  jax.defaultDevice(backend);
  return {
    device: adapter,
    make: (spec, inputs) => (cases[spec.kind] ? wrap(jax, wasm, cases[spec.kind](jax, spec, inputs)) : null),
  };
}

/** jax-js parses einsum with iterator helpers, which Node has from 22 on. */
function addIteratorHelpers() {
  const iterator = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]()));
  iterator.map ??= function (f) {
    return [...this].map(f);
  };
}

/** @param made { step(): arrays by name, outputs? } */
function wrap(jax, wasm, { step, outputs }) {
  return {
    run: () => Object.values(step()),
    async wait(results, expected) {
      const arrays = results.flat();
      const slept = await napping(wasm ? 0 : expected, () => jax.blockUntilReady(arrays));
      for (const array of arrays) array.dispose();
      return slept;
    },
    async outputs() {
      if (outputs) return outputs();
      const values = {};
      for (const [name, array] of Object.entries(step())) values[name] = await array.data();
      return values;
    },
  };
}

/** Gives an array of the case's data, kept for every run. */
const put = (jax, data, shape) => jax.numpy.array(data, { shape });

const attend = (jax) => (q, k, v) => jax.nn.dotProductAttention(q, k, v, { isCausal: true });

/** [B, H, T, K] to jax's [B, T, H, K], and back. */
function swap({ b, h, t, k }, x, back) {
  const out = new Float32Array(x.length);
  for (let s = 0; s < b; s++)
    for (let head = 0; head < h; head++)
      for (let i = 0; i < t; i++) {
        const heads = ((s * h + head) * t + i) * k;
        const tokens = ((s * t + i) * h + head) * k;
        const [from, to] = back ? [tokens, heads] : [heads, tokens];
        out.set(x.subarray(from, from + k), to);
      }
  return out;
}

function swapped(spec, made) {
  const wrapped = { ...made };
  wrapped.outputs = async () => {
    const values = {};
    for (const [name, array] of Object.entries(made.step())) values[name] = swap(spec, await array.data(), true);
    return values;
  };
  return wrapped;
}

const cases = {
  matmul(jax, { m, k, n, transB }, inputs) {
    const a = put(jax, inputs.a, [m, k]);
    const b = put(jax, inputs.b, transB ? [n, k] : [k, n]);
    const product = jax.jit((x, y) => jax.numpy.matmul(x, transB ? jax.numpy.transpose(y) : y));
    return { step: () => ({ c: product(a.ref, b.ref) }) };
  },

  softmax(jax, { rows, cols }, inputs) {
    const x = put(jax, inputs.x, [rows, cols]);
    const f = jax.jit((a) => jax.nn.softmax(a, -1));
    return { step: () => ({ y: f(x.ref) }) };
  },

  layernorm(jax, { rows, cols, eps }, inputs) {
    const x = put(jax, inputs.x, [rows, cols]);
    const w = put(jax, inputs.w, [cols]);
    const b = put(jax, inputs.b, [cols]);
    const f = jax.jit((a, scale, shift) => jax.nn.standardize(a, -1, { epsilon: eps }).mul(scale).add(shift));
    return { step: () => ({ y: f(x.ref, w.ref, b.ref) }) };
  },

  attention(jax, spec, inputs) {
    const { b, h, t, k } = spec;
    const [q, keys, v] = [inputs.q, inputs.k, inputs.v].map((x) => put(jax, swap(spec, x), [b, t, h, k]));
    const f = jax.jit(attend(jax));
    return swapped(spec, { step: () => ({ o: f(q.ref, keys.ref, v.ref) }) });
  },

  'attention-bwd'(jax, spec, inputs) {
    const { b, h, t, k } = spec;
    const [q, keys, v, g] = [inputs.q, inputs.k, inputs.v, inputs.g].map((x) => put(jax, swap(spec, x), [b, t, h, k]));
    const forward = attend(jax);
    const f = jax.jit(
      jax.grad((a, c, d, weight) => jax.numpy.sum(forward(a, c, d).mul(weight)), { argnums: [0, 1, 2] }),
    );
    const step = () => {
      const [dq, dk, dv] = f(q.ref, keys.ref, v.ref, g.ref);
      return { dq, dk, dv };
    };
    return swapped(spec, { step });
  },

  'cross-entropy'(jax, { rows, d, v }, inputs) {
    const x = put(jax, inputs.x, [rows, d]);
    const table = put(jax, inputs.table, [v, d]);
    const hot = new Float32Array(rows * v);
    inputs.targets.forEach((item, row) => {
      hot[row * v + item] = 1;
    });
    const picked = put(jax, hot, [rows, v]);
    const loss = (a, b, one) =>
      jax.numpy.sum(jax.nn.logSoftmax(jax.numpy.matmul(a, jax.numpy.transpose(b)), -1).mul(one)).mul(-1 / rows);
    const f = jax.jit(jax.valueAndGrad(loss, { argnums: [0, 1] }));
    const step = () => {
      const [value, [dx, dtable]] = f(x.ref, table.ref, picked.ref);
      return { loss: value, dx, dtable };
    };
    return { step };
  },

  train(jax, { rows, d, f, learningRate, checkSteps = 1 }, inputs) {
    const np = jax.numpy;
    const x = put(jax, inputs.x, [rows, d]);
    const y = put(jax, inputs.y, [rows, d]);
    const shapes = { w1: [d, f], b1: [f], w2: [f, d], b2: [d] };
    const each = (make) => Object.fromEntries(Object.keys(shapes).map((name) => [name, make(name)]));
    let state = {
      w: each((name) => put(jax, inputs[name], shapes[name])),
      m: each((name) => np.zeros(shapes[name])),
      v: each((name) => np.zeros(shapes[name])),
    };
    const loss = (w, a, b) => {
      const hidden = jax.nn.relu(np.matmul(a, w.w1).add(w.b1));
      const off = np.matmul(hidden, w.w2).add(w.b2).sub(b);
      return np.mean(off.ref.mul(off));
    };
    const update = jax.jit((s, a, b, c1, c2) => {
      const [value, g] = jax.valueAndGrad(loss)(
        each((name) => s.w[name].ref),
        a,
        b,
      );
      const m = each((name) => s.m[name].mul(0.9).add(g[name].ref.mul(0.1)));
      const v = each((name) => s.v[name].mul(0.999).add(g[name].ref.mul(g[name]).mul(0.001)));
      const w = each((name) => {
        const mhat = m[name].ref.mul(c1.ref);
        const root = np.sqrt(v[name].ref.mul(c2.ref)).add(1e-8);
        return s.w[name].sub(mhat.div(root).mul(learningRate));
      });
      c1.dispose();
      c2.dispose();
      return { value, state: { w, m, v } };
    });
    let at = 0;
    const step = () => {
      at++;
      const c1 = np.array(1 / (1 - 0.9 ** at));
      const c2 = np.array(1 / (1 - 0.999 ** at));
      const result = update(state, x.ref, y.ref, c1, c2);
      state = result.state;
      return result.value;
    };
    const outputs = async () => {
      const losses = [];
      for (let i = 0; i < checkSteps; i++) losses.push((await step().data())[0]);
      return { losses };
    };
    // The loss alone would not wait for the update: the newest weights are returned with it.
    return { step: () => ({ loss: step(), w: state.w.w1.ref, v: state.v.w1.ref }), outputs };
  },
};
