/**
 * A ranking model as an ONNX model: the encoder, the item table, the blend with the item transitions, and the best items.
 *
 *   items    i64 [batch, history]   rows of items, oldest first; shorter histories begin with −1
 *   exclude  i64 [batch, excluded]  rows of items that are not listed, −1 for none
 *   k        i64 [1]                how many are listed
 *   scores   f32 [batch, V]         of the whole catalog, as this project's own scores
 *   top_items i64, top_scores f32 [batch, k]   the best that are not excluded
 */
import { InputError } from '../../data/errors.ts';
import { sinusoids } from '../../model/encoders/input.ts';
import { SIDE } from '../../model/encoders/network.ts';
import { settingsOf } from '../../model/inference/ranking-model.ts';
import { isCloze, temperatureOf } from '../../model/recipes/derived.ts';
import type { Settings } from '../../model/recipes/settings.ts';
import type { LoadedModel } from '../../model/storage/load-model.ts';
import { type Blend, type ItemTransitions, recency } from '../../model/transitions/transitions.ts';
import type { Attend } from './blocks/block.ts';
import { ONNX_BLOCKS } from './blocks/index.ts';
import { Graph, type Value } from './graph.ts';
import { Layers } from './layers.ts';

/** What masked scores are, as elsewhere. */
const MASKED = -3e38;
/** A protocol buffer ends there. */
const MOST_BYTES = 2 ** 31 - 1;
const FAR = Number.MAX_SAFE_INTEGER;

/**
 * The bytes of the model.
 * @param table E [V, D] of the whole catalog
 * @throws InputError for a model that ONNX cannot express here, in one line
 */
export function onnxModel(loaded: LoadedModel, table: Float32Array, version: string): Uint8Array[] {
  const settings = settingsOf(loaded);
  refuseOthers(loaded, settings);
  const graph = new Graph();
  const items = graph.input('items', 'i64', ['batch', 'history']);
  const exclude = graph.input('exclude', 'i64', ['batch', 'excluded']);
  const k = graph.input('k', 'i64', [1]);
  const V = loaded.items.length;
  const batch = graph.op('Slice', [graph.op('Shape', [items]), graph.integers(0), graph.integers(1)]);
  const catalog = graph.weight('items.weight', table, [V, settings.d]);
  const state = lastState(new Layers(graph, settings, loaded.tensors), items, batch, catalog);
  let scores = compared(graph, settings, state, catalog, table);
  if (loaded.blended) scores = blended(graph, loaded.blended, { scores, items, batch, V });
  graph.output(scores, 'scores', 'f32', ['batch', V]);
  const listed = without(graph, { scores, exclude, batch, V });
  const [best, rows] = graph.ops('TopK', [listed, k], { axis: -1, largest: 1, sorted: 1 }, 2);
  graph.output(rows, 'top_items', 'i64', ['batch', 'k']);
  graph.output(best, 'top_scores', 'f32', ['batch', 'k']);
  const { recipe, created } = loaded.config;
  const pieces = graph.pieces('attune', `attune ${version}`, { recipe, created, window: `${settings.window}` });
  if (pieces.reduce((sum, { length }) => sum + length, 0) > MOST_BYTES)
    throw new InputError(
      'too-large',
      `${loaded.path}: as ONNX the model takes more than 2 GiB, the most of such a file`,
    );
  return pieces;
}

/** @throws InputError for what cannot be written */
function refuseOthers({ tensors, path }: LoadedModel, s: Settings): void {
  const block = ONNX_BLOCKS.get(s.block);
  const refused: keyof Settings | null = !block
    ? 'block'
    : s.decoder > 0
      ? 'decoder'
      : s.head !== 'dot'
        ? 'head'
        : s.positions === 'rotary'
          ? 'positions'
          : block.refuses(s);
  if (refused !== null)
    throw new InputError('unsupported', `${path}: a model with ${refused}=${s[refused]} cannot be written as ONNX`);
  if (tensors.has(SIDE))
    throw new InputError('unsupported', `${path}: a model that reads side features cannot be written as ONNX`);
}

/** The state [B, D] that predicts the next item. */
function lastState(layers: Layers, items: Value, batch: Value, catalog: Value): Value {
  const { graph, settings: s } = layers;
  const cloze = isCloze(s);
  const recent = last(graph, items, cloze ? s.window - 1 : s.window);
  const tokens = cloze ? graph.op('Concat', [recent, filled(graph, batch, 1, 0)], { axis: 1 }) : recent;
  const there = graph.op('GreaterOrEqual', [tokens, graph.integer(0)]);
  let x = graph.op('Gather', [catalog, graph.op('Max', [recent, graph.integer(0)])]);
  if (s.embedding === 'scaled') x = graph.op('Mul', [x, graph.scalar(Math.sqrt(s.d))]);
  if (cloze) {
    const shape = graph.op('Concat', [batch, graph.integers(1, s.d)], { axis: 0 });
    x = graph.op('Concat', [x, graph.op('Expand', [layers.parameter('mask.weight'), shape])], { axis: 1 });
  }
  const positions =
    s.positions === 'learned'
      ? layers.parameter('positions.weight')
      : s.positions === 'sinusoidal'
        ? graph.weight('sinusoids', sinusoids(s.window, s.d), [s.window, s.d])
        : null;
  if (positions !== null) x = graph.op('Add', [x, graph.op('Gather', [positions, positionsOf(graph, there)])]);
  const attend = attention(graph, s, there);
  const block = ONNX_BLOCKS.get(s.block) as NonNullable<ReturnType<typeof ONNX_BLOCKS.get>>;
  const post = s.norm === 'post';
  const n = layers.norm(post ? 'norm' : 'blocks.0.norm1', x);
  let stream = { x: post ? n : x, n };
  for (let i = 0; i < s.blocks; i++) {
    const next = i + 1 < s.blocks ? `blocks.${i + 1}.norm1` : 'norm';
    stream = block.forward(layers, attend, `blocks.${i}`, stream, next);
  }
  const state = graph.op('Gather', [stream.n, graph.integer(-1)], { axis: 1 });
  if (s.projection === 'none') return state;
  return layers.layerNorm('projection.norm', layers.activate(layers.linear('projection', state), 'gelu'));
}

/** The last n columns. */
const last = (graph: Graph, x: Value, n: number): Value =>
  graph.op('Slice', [x, graph.integers(-n), graph.integers(FAR), graph.integers(1)]);

/** Integers [B, n], all of one value. */
function filled(graph: Graph, batch: Value, n: number, value: number): Value {
  const shape = graph.op('Concat', [batch, graph.integers(n)], { axis: 0 });
  return graph.op('Expand', [graph.integer(value), shape]);
}

/** How many tokens are before each, [B, L]; 0 for those that are not there. */
function positionsOf(graph: Graph, there: Value): Value {
  const counts = graph.op('CumSum', [graph.op('Cast', [there], { to: 7 }), graph.integer(1)]);
  return graph.op('Max', [graph.op('Sub', [counts, graph.integer(1)]), graph.integer(0)]);
}

/** softmax(q · kᵀ / √K) · v, of the tokens that are there and, where causal, not later. */
function attention(graph: Graph, { d, heads, direction }: Settings, there: Value): Attend {
  const keys = graph.op('Unsqueeze', [there, graph.integers(1, 2)]);
  const length = graph.op('Gather', [graph.op('Shape', [there]), graph.integer(1)]);
  const index = graph.op('Range', [graph.integer(0), length, graph.integer(1)]);
  const causal = graph.op('LessOrEqual', [
    graph.op('Unsqueeze', [index, graph.integers(0)]),
    graph.op('Unsqueeze', [index, graph.integers(1)]),
  ]);
  const seen = direction === 'causal' ? graph.op('And', [keys, causal]) : keys;
  const split = (x: Value, perm: readonly number[]): Value =>
    graph.op('Transpose', [graph.op('Reshape', [x, graph.integers(0, 0, heads, d / heads)])], { perm });
  return (query, key, value) => {
    const product = graph.op('MatMul', [split(query, [0, 2, 1, 3]), split(key, [0, 2, 3, 1])]);
    const logits = graph.op('Mul', [product, graph.scalar(1 / Math.sqrt(d / heads))]);
    const weights = graph.op('Softmax', [graph.op('Where', [seen, logits, graph.scalar(MASKED)])], { axis: -1 });
    const heard = graph.op('MatMul', [weights, split(value, [0, 2, 1, 3])]);
    return graph.op('Reshape', [graph.op('Transpose', [heard], { perm: [0, 2, 1, 3] }), graph.integers(0, 0, d)]);
  };
}

/** Scores [B, V] by the similarity of the settings. */
function compared(graph: Graph, s: Settings, state: Value, catalog: Value, table: Float32Array): Value {
  const scores = graph.op('Gemm', [state, catalog], { transB: 1, alpha: { float: 1 / temperatureOf(s) } });
  if (s.similarity !== 'cosine') return scores;
  const squares = graph.op('ReduceSum', [graph.op('Mul', [state, state]), graph.integers(-1)], { keepdims: 1 });
  const length = graph.op('Sqrt', [graph.op('Add', [squares, graph.scalar(1e-12)])]);
  const V = table.length / s.d;
  const inverse = Float32Array.from({ length: V }, (_, v) => {
    let sum = 0;
    for (let c = v * s.d; c < (v + 1) * s.d; c++) sum += table[c] ** 2;
    return 1 / Math.sqrt(sum + 1e-12);
  });
  return graph.op('Mul', [graph.op('Div', [scores, length]), graph.weight('items.inverseLength', inverse, [V])]);
}

interface Scoring {
  scores: Value;
  batch: Value;
  /** items of the catalog */
  V: number;
}

/** score / σ + b · log(max(m, 0) + ε): model/transitions/transitions.ts. */
function blended(
  graph: Graph,
  { transitions, blend }: { transitions: ItemTransitions; blend: Blend },
  { scores, items, batch, V }: Scoring & { items: Value },
): Value {
  const centered = graph.op('Sub', [scores, graph.op('ReduceMean', [scores], { axes: [-1], keepdims: 1 })]);
  const variance = graph.op('ReduceMean', [graph.op('Mul', [centered, centered])], { axes: [-1], keepdims: 1 });
  const flat = graph.op('LessOrEqual', [variance, graph.scalar(1e-30)]);
  const sigma = graph.op('Sqrt', [graph.op('Where', [flat, graph.scalar(1), variance])]);
  const scaled = graph.op('Div', [scores, sigma]);
  if (blend.memory === 0) return scaled;
  const m = transitionScores(graph, transitions, { items, batch, V });
  const positive = graph.op('Add', [graph.op('Max', [m, graph.scalar(0)]), graph.scalar(blend.epsilon)]);
  return graph.op('Add', [scaled, graph.op('Mul', [graph.op('Log', [positive]), graph.scalar(blend.memory)])]);
}

/** m [B, V]: the rows of W are lists of one length here, which end with a column beyond the catalog. */
function transitionScores(
  graph: Graph,
  { settings, rows: { starts, columns, values } }: ItemTransitions,
  { items, batch, V }: Omit<Scoring, 'scores'> & { items: Value },
): Value {
  let width = 1;
  for (let row = 0; row < V; row++) width = Math.max(width, starts[row + 1] - starts[row]);
  const listColumns = new BigInt64Array(V * width).fill(BigInt(V));
  const listValues = new Float32Array(V * width);
  for (let row = 0; row < V; row++) {
    for (let i = starts[row]; i < starts[row + 1]; i++) {
      listColumns[row * width + i - starts[row]] = BigInt(columns[i]);
      listValues[row * width + i - starts[row]] = values[i];
    }
  }
  const n = settings.last;
  const padded = graph.op('Concat', [filled(graph, batch, n, -1), items], { axis: 1 });
  const recent = last(graph, padded, n);
  const there = graph.op('Cast', [graph.op('GreaterOrEqual', [recent, graph.integer(0)])], { to: 1 });
  const weights = graph.op('Mul', [there, graph.weight('transitions.recency', recency(settings).reverse(), [n])]);
  const ids = graph.op('Max', [recent, graph.integer(0)]);
  const flat = graph.integers(0, -1);
  const at = graph.op('Gather', [graph.weight('transitions.columns', listColumns, [V, width]), ids]);
  const rows = graph.op('Gather', [graph.weight('transitions.values', listValues, [V, width]), ids]);
  const weighed = graph.op('Mul', [rows, graph.op('Unsqueeze', [weights, graph.integers(2)])]);
  const shape = graph.op('Concat', [batch, graph.integers(V + 1)], { axis: 0 });
  const zeros = graph.op('Expand', [graph.scalar(0), shape]);
  const updates = [zeros, graph.op('Reshape', [at, flat]), graph.op('Reshape', [weighed, flat])];
  return columnsTo(graph, graph.op('ScatterElements', updates, { axis: 1, reduction: 'add' }), V);
}

const columnsTo = (graph: Graph, x: Value, to: number): Value =>
  graph.op('Slice', [x, graph.integers(0), graph.integers(to), graph.integers(1)]);

/** The scores without items that are excluded: −1 marks a column beyond the catalog. */
function without(graph: Graph, { scores, exclude, batch, V }: Scoring & { exclude: Value }): Value {
  const none = graph.op('Less', [exclude, graph.integer(0)]);
  const at = graph.op('Where', [none, graph.integer(V), exclude]);
  const beyond = graph.op('Expand', [graph.scalar(0), graph.op('Concat', [batch, graph.integers(1)], { axis: 0 })]);
  const masked = graph.op('Expand', [graph.scalar(MASKED), graph.op('Shape', [exclude])]);
  const wide = graph.op('Concat', [scores, beyond], { axis: 1 });
  return columnsTo(graph, graph.op('ScatterElements', [wide, at, masked], { axis: 1 }), V);
}
