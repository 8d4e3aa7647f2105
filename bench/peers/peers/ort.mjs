/**
 * ONNX Runtime on its CPU provider (two threads) or its WebGPU provider, which brings a Dawn of its own and finds the
 * same adapter. On WebGPU the inputs lie on the device and only a few numbers of the result come back, so that no
 * transfer is timed. It does not train: forward cases only.
 */
import { createRequire } from 'node:module';
import { onnxModel } from './onnx.mjs';

const ort = createRequire(import.meta.url)('onnxruntime-node');
const OPTIONS = { intraOpNumThreads: 2, interOpNumThreads: 1, logSeverityLevel: 3 };

export async function open(name) {
  const webgpu = name === 'ort-webgpu';
  const options = { ...OPTIONS, executionProviders: [webgpu ? 'webgpu' : 'cpu'] };
  if (webgpu) await ort.InferenceSession.create(copyModel([1]), options); // throws where there is no adapter
  return {
    device: webgpu ? "the WebGPU provider's own choice" : 'cpu, 2 threads',
    make: (spec, inputs) =>
      cases[spec.kind] ? prepare(cases[spec.kind](spec, inputs), inputs, options, webgpu) : null,
  };
}

/** x · 1, which puts an input on the device. */
const copyModel = (shape) =>
  onnxModel({
    nodes: [{ op: 'Mul', inputs: ['x', 'one'], outputs: ['y'] }],
    inputs: { x: shape },
    outputs: { y: shape },
    constants: { one: { shape: [1], data: Float32Array.of(1) } },
  });

async function prepare({ graph, shapes, output, rename = {} }, inputs, options, webgpu) {
  const [[name, shape]] = Object.entries(output);
  const declared = { ...graph, inputs: shapes, outputs: output };
  const whole = await ort.InferenceSession.create(onnxModel(declared), options);
  const feeds = {};
  for (const [key, dims] of Object.entries(shapes)) {
    const tensor = new ort.Tensor('float32', inputs[key], dims);
    if (!webgpu) feeds[key] = tensor;
    else {
      const copy = await ort.InferenceSession.create(copyModel(dims), {
        ...options,
        preferredOutputLocation: 'gpu-buffer',
      });
      feeds[key] = (await copy.run({ x: tensor })).y;
    }
  }
  const timed = webgpu ? await ort.InferenceSession.create(onnxModel(corner(declared, name, shape)), options) : whole;
  return {
    run: () => timed.run(feeds),
    wait: async () => {},
    outputs: async () => ({ [rename[name] ?? name]: (await whole.run(feeds))[name].data }),
    async dispose() {
      for (const tensor of Object.values(feeds)) tensor.dispose?.();
      await whole.release();
      if (timed !== whole) await timed.release();
    },
  };
}

/** The same graph, of whose output only the first few elements leave. */
function corner(graph, name, shape) {
  const few = shape.map((n, i) => (i === shape.length - 1 ? Math.min(4, n) : 1));
  const ints = (values) => ({ shape: [values.length], data: BigInt64Array.from(values, BigInt) });
  return {
    ...graph,
    nodes: [...graph.nodes, { op: 'Slice', inputs: [name, 'from', 'to'], outputs: ['corner'] }],
    outputs: { corner: few },
    constants: { ...graph.constants, from: ints(shape.map(() => 0)), to: ints(few) },
  };
}

const cases = {
  matmul({ m, k, n, transB }) {
    const node = transB
      ? { op: 'Gemm', inputs: ['a', 'b'], outputs: ['c'], attributes: { transB: 1 } }
      : { op: 'MatMul', inputs: ['a', 'b'], outputs: ['c'] };
    return { graph: { nodes: [node] }, shapes: { a: [m, k], b: transB ? [n, k] : [k, n] }, output: { c: [m, n] } };
  },

  softmax({ rows, cols }) {
    const node = { op: 'Softmax', inputs: ['x'], outputs: ['y'], attributes: { axis: -1 } };
    return { graph: { nodes: [node] }, shapes: { x: [rows, cols] }, output: { y: [rows, cols] } };
  },

  layernorm({ rows, cols, eps }) {
    const attributes = { axis: -1, epsilon: { float: eps } };
    const node = { op: 'LayerNormalization', inputs: ['x', 'w', 'b'], outputs: ['y'], attributes };
    return {
      graph: { nodes: [node] },
      shapes: { x: [rows, cols], w: [cols], b: [cols] },
      output: { y: [rows, cols] },
    };
  },

  attention({ b, h, t, k }) {
    const mask = Float32Array.from({ length: t * t }, (_, i) => (i % t > Math.floor(i / t) ? -1e9 : 0));
    const nodes = [
      { op: 'Transpose', inputs: ['k'], outputs: ['kt'], attributes: { perm: [0, 1, 3, 2] } },
      { op: 'MatMul', inputs: ['q', 'kt'], outputs: ['raw'] },
      { op: 'Mul', inputs: ['raw', 'scale'], outputs: ['scaled'] },
      { op: 'Add', inputs: ['scaled', 'mask'], outputs: ['masked'] },
      { op: 'Softmax', inputs: ['masked'], outputs: ['p'], attributes: { axis: -1 } },
      { op: 'MatMul', inputs: ['p', 'v'], outputs: ['o'] },
    ];
    const constants = {
      scale: { shape: [1], data: Float32Array.of(1 / Math.sqrt(k)) },
      mask: { shape: [1, 1, t, t], data: mask },
    };
    const shape = [b, h, t, k];
    return { graph: { nodes, constants }, shapes: { q: shape, k: shape, v: shape }, output: { o: shape } };
  },
};
