/**
 * The cases: shapes, inputs and floating-point operations. A spec is plain data, sent to every peer as JSON.
 * Letters: L rows, D width, F feed-forward width, V items, B sequences, H heads, T length, K head width.
 *
 * attention-bwd and cross-entropy are forward and backward together: the gradients of q, k, v for a given gradient of
 * the output; loss and the gradients of x and the table. train is a step of a MLP D → F → D with relu under a mean
 * squared error: forward, backward, Adam. sasrec-step is in sequences.mjs.
 */

const matmul = (name, m, k, n, transB = false) => ({
  name,
  kind: 'matmul',
  m,
  k,
  n,
  transB,
  inputs: { a: { shape: [m, k], seed: 1 }, b: { shape: transB ? [n, k] : [k, n], seed: 2 } },
  flop: 2 * m * k * n,
});

const attention = (name, b, h, t, k) => {
  const input = (seed) => ({ shape: [b, h, t, k], seed, scale: 4 });
  const backward = name === 'attention-bwd';
  const forwardFlop = 2 * b * h * t * (t + 1) * k; // two products over the lower triangle
  return {
    name,
    kind: name,
    b,
    h,
    t,
    k,
    inputs: { q: input(1), k: input(2), v: input(3), ...(backward && { g: { shape: [b, h, t, k], seed: 4 } }) },
    flop: forwardFlop * (backward ? 3.5 : 1),
  };
};

/** The MLP step on so many rows. */
export const trainSpec = (rows) => {
  const [d, f] = [64, 256];
  return {
    name: 'train',
    kind: 'train',
    rows,
    d,
    f,
    learningRate: 1e-3,
    inputs: {
      x: { shape: [rows, d], seed: 1, scale: 2 },
      y: { shape: [rows, d], seed: 2 },
      w1: { shape: [d, f], seed: 3, scale: 0.4 },
      b1: { shape: [f], seed: 4, scale: 0.1 },
      w2: { shape: [f, d], seed: 5, scale: 0.2 },
      b2: { shape: [d], seed: 6, scale: 0.1 },
    },
    flop: 10 * rows * d * f,
  };
};

const crossEntropy = (rows, d, v) => ({
  name: 'cross-entropy',
  kind: 'cross-entropy',
  rows,
  d,
  v,
  inputs: {
    x: { shape: [rows, d], seed: 1, scale: 2 },
    table: { shape: [v, d], seed: 2 },
    targets: { shape: [rows], seed: 3, below: v },
  },
  flop: 6 * rows * d * v,
});

/** Every case but sasrec-step. */
export const kernelCases = [
  matmul('sq512', 512, 512, 512),
  matmul('proj', 25600, 64, 64),
  matmul('ffn1', 25600, 64, 256),
  matmul('ffn2', 25600, 256, 64),
  matmul('logits', 6400, 64, 3416, true),
  {
    name: 'softmax',
    kind: 'softmax',
    rows: 12800,
    cols: 200,
    inputs: { x: { shape: [12800, 200], seed: 1, scale: 8 } },
    flop: 5 * 12800 * 200,
  },
  {
    name: 'layernorm',
    kind: 'layernorm',
    rows: 25600,
    cols: 64,
    eps: 1e-5,
    inputs: {
      x: { shape: [25600, 64], seed: 1, scale: 4 },
      w: { shape: [64], seed: 2, offset: 1 },
      b: { shape: [64], seed: 3 },
    },
    flop: 8 * 25600 * 64,
  },
  attention('attention', 32, 2, 200, 32),
  attention('attention-bwd', 32, 2, 200, 32),
  trainSpec(25600),
  crossEntropy(6400, 64, 3416),
];

export const caseNames = [...kernelCases.map((c) => c.name), 'sasrec-step'];
