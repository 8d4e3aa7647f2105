/** The layers of an encoder (model/nn) as operators of ONNX. */
import type { Settings } from '../../model/recipes/settings.ts';
import type { StoredTensor } from '../../model/storage/safetensors.ts';
import type { Graph, Value } from './graph.ts';

/** The weights of a model, as a graph takes them: each once. */
export class Layers {
  readonly graph: Graph;
  readonly settings: Settings;
  private readonly tensors: ReadonlyMap<string, StoredTensor>;
  private readonly used = new Set<string>();

  constructor(graph: Graph, settings: Settings, tensors: ReadonlyMap<string, StoredTensor>) {
    this.graph = graph;
    this.settings = settings;
    this.tensors = tensors;
  }

  /** A parameter by its name. */
  parameter(name: string): Value {
    if (this.used.has(name)) return name;
    this.used.add(name);
    const { data, shape } = this.tensors.get(name) as StoredTensor;
    return this.graph.weight(name, data instanceof Float32Array ? data : Float32Array.from(data), shape);
  }

  /** x · W + b. */
  linear(name: string, x: Value): Value {
    const { graph } = this;
    const product = graph.op('MatMul', [x, this.parameter(`${name}.weight`)]);
    return graph.op('Add', [product, this.parameter(`${name}.bias`)]);
  }

  /** The normalization that the settings name. */
  norm(name: string, x: Value): Value {
    return this.settings.norm === 'rms' ? this.rmsNorm(name, x) : this.layerNorm(name, x);
  }

  layerNorm(name: string, x: Value): Value {
    const weights = [this.parameter(`${name}.weight`), this.parameter(`${name}.bias`)];
    return this.graph.op('LayerNormalization', [x, ...weights], { axis: -1, epsilon: { float: 1e-5 } });
  }

  private rmsNorm(name: string, x: Value): Value {
    const { graph } = this;
    const squares = graph.op('ReduceMean', [graph.op('Mul', [x, x])], { axes: [-1], keepdims: 1 });
    const root = graph.op('Sqrt', [graph.op('Add', [squares, graph.scalar(1e-6)])]);
    return graph.op('Mul', [graph.op('Div', [x, root]), this.parameter(`${name}.weight`)]);
  }

  /** down(act(up(x))) */
  feedForward(name: string, x: Value): Value {
    return this.linear(`${name}.down`, this.activate(this.linear(`${name}.up`, x), this.settings.activation));
  }

  activate(x: Value, kind: Settings['activation']): Value {
    return ACTIVATIONS[kind](this.graph, x);
  }

  sigmoid(x: Value): Value {
    return this.graph.op('Sigmoid', [x]);
  }

  add(a: Value, b: Value): Value {
    return this.graph.op('Add', [a, b]);
  }

  mul(a: Value, b: Value): Value {
    return this.graph.op('Mul', [a, b]);
  }
}

const silu = (graph: Graph, x: Value): Value => graph.op('Mul', [x, graph.op('Sigmoid', [x])]);

const ACTIVATIONS: Readonly<Record<Settings['activation'], (graph: Graph, x: Value) => Value>> = {
  relu: (graph, x) => graph.op('Relu', [x]),
  silu,
  /** By tanh (Hendrycks & Gimpel 2016), as the kernels have it. */
  gelu: (graph, x) => {
    const cube = graph.op('Mul', [graph.op('Mul', [x, x]), x]);
    const inner = graph.op('Add', [x, graph.op('Mul', [cube, graph.scalar(0.044715)])]);
    const tanh = graph.op('Tanh', [graph.op('Mul', [inner, graph.scalar(Math.sqrt(2 / Math.PI))])]);
    const half = graph.op('Mul', [x, graph.scalar(0.5)]);
    return graph.op('Mul', [half, graph.op('Add', [tanh, graph.scalar(1)])]);
  },
  swiglu: (graph, x) => {
    const [gate, up] = graph.ops('Split', [x], { axis: -1 }, 2);
    return graph.op('Mul', [silu(graph, gate), up]);
  },
};
