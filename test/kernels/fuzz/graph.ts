/**
 * Random graphs of ops for the fuzzer: a list of numbers is read as a list of ops, each on values made before it or on
 * new inputs, whatever their shapes (a value is cut or extended to what an op takes). A graph is a row of the case table
 * like any other, so that every form, device and check of the table holds for it.
 */
import { concat, type Shape, slice, type Tensor } from '../../../engine/index.ts';
import type { Case, InputSpec } from '../harness.ts';

type Inputs = Record<string, Tensor>;
/** Gives a value while the graph runs. */
export type Get = (values: Tensor[], inputs: Inputs) => Tensor;

export const sizeOf = (shape: Shape): number => shape.reduce((a, b) => a * b, 1);
export const SIZES = [1, 2, 3, 4, 5, 8, 12] as const;
export const WIDTHS4 = [4, 8, 12] as const;
/** Larger values are cut: a graph is to stay small. */
const MOST = 400;

/** What each op adds to a graph. */
export type GraphOps = Record<string, (g: Graph) => void>;

/** Reads a graph from numbers; what is missing of them counts as 0. */
export class Graph {
  readonly inputs: Record<string, InputSpec> = {};
  /** One line an op, as a failure shows them. */
  readonly lines: string[] = [];
  private readonly shapes: Shape[] = [];
  private readonly used = new Set<number>();
  private readonly nodes: ((values: Tensor[], inputs: Inputs) => Tensor[])[] = [];
  private readonly extra: Get[] = [];
  private readonly numbers: readonly number[];
  private at = 0;

  constructor(numbers: readonly number[], count: number, ops: GraphOps) {
    this.numbers = numbers;
    this.input([3, 4]);
    for (let i = 0; i < count; i++) {
      const name = this.pick(Object.keys(ops));
      this.lines.push(name);
      ops[name](this);
    }
  }

  /** Below n. */
  below(n: number): number {
    return (this.numbers[this.at++] ?? 0) % n;
  }

  pick<T>(of: readonly T[]): T {
    return of[this.below(of.length)];
  }

  note(text: string): void {
    this.lines[this.lines.length - 1] += ` ${text}`;
  }

  private name(): string {
    return `x${Object.keys(this.inputs).length}`;
  }

  /** A new differentiable input; it counts as a value, too. */
  input(shape: Shape): Get {
    const name = this.name();
    this.inputs[name] = { shape };
    const index = this.shapes.length;
    this.shapes.push(shape);
    this.used.add(index);
    this.nodes.push((_, inputs) => [inputs[name]]);
    return (values) => values[index];
  }

  fixed(spec: Omit<InputSpec, 'grad'>): Get {
    const name = this.name();
    this.inputs[name] = { ...spec, grad: false };
    return (_, inputs) => inputs[name];
  }

  ids(length: number, below: number): { get: Get; of(i: number): number } {
    const [a, b] = [this.below(7) + 1, this.below(5)];
    const of = (i: number): number => (i * a + b) % below;
    return { get: this.fixed({ shape: [length], dtype: 'u32', value: of }), of };
  }

  /** An earlier value with its shape, or sometimes a new input. */
  any(): { get: Get; shape: Shape } {
    if (this.below(5) === 0) {
      const shape = Array.from({ length: this.below(3) + 1 }, () => this.pick(SIZES));
      return { get: this.input(shape), shape };
    }
    // The latest ones first, so that graphs grow deep.
    const back = Math.min(this.below(4), this.shapes.length - 1);
    const index = this.shapes.length - 1 - back;
    this.used.add(index);
    return { get: (values) => values[index], shape: this.shapes[index] };
  }

  /** An earlier value in this shape: reshaped where its size is right, else cut or extended. */
  as(shape: Shape): Get {
    const { get, shape: from } = this.any();
    const [have, need] = [sizeOf(from), sizeOf(shape)];
    if (have === need) return (values, inputs) => get(values, inputs).reshape(shape);
    if (have > need) return (values, inputs) => slice(get(values, inputs).reshape([have]), 0, 0, need).reshape(shape);
    const rest = this.input([need - have]);
    return (values, inputs) => concat([get(values, inputs).reshape([have]), rest(values, inputs)], 0).reshape(shape);
  }

  /** A matrix, of the value's own shape where that is one. */
  matrix(width?: number): { get: Get; rows: number; cols: number } {
    const [rows, cols] = [this.pick(SIZES), width ?? this.pick(SIZES)];
    return { get: this.as([rows, cols]), rows, cols };
  }

  /** A new value. */
  value(shape: Shape, run: Get): void {
    const size = sizeOf(shape);
    this.note(`[${shape}]`);
    const index = this.shapes.length;
    const cut = size > MOST;
    this.shapes.push(cut ? [MOST] : shape);
    this.nodes.push((values, inputs) => {
      const y = run(values, inputs);
      return [cut ? slice(y.reshape([size]), 0, 0, MOST) : y];
    });
    this.used.delete(index);
  }

  /** A result without a gradient, which nothing else uses. */
  result(run: Get): void {
    this.extra.push(run);
  }

  toCase(name: string): Case {
    const { nodes, shapes, used, extra, inputs } = this;
    const run = (t: Inputs): Tensor[] => {
      const values: Tensor[] = [];
      for (const node of nodes) values.push(...node(values, t));
      const sinks = values.filter((_, i) => !used.has(i) || i === shapes.length - 1);
      return [...sinks, ...extra.map((get) => get(values, t))];
    };
    return { op: 'graph', name, inputs, run };
  }
}
