/** What the mapping of an operator sees of its node: operands on the device, constants of the host, and attributes. */
import { type Device, sizeOf, type Tensor } from '../../engine/index.ts';
import type { Attribute, Model, Node, Value } from './reader.ts';

/** A variant of an operator, or a type, that the engine does not have. */
export class Unsupported extends Error {}

export const unsupported = (why: string): never => {
  throw new Unsupported(why);
};

const FLOATS = ['float', 'float16', 'double'];
/** Up to here f32 holds every integer. */
const EXACT = 2 ** 24;

export class Call {
  readonly device: Device;
  readonly node: Node;
  readonly opset: number;
  private readonly values: ReadonlyMap<string, Value>;

  constructor(device: Device, { nodes, opset }: Model, values: ReadonlyMap<string, Value>) {
    this.device = device;
    [this.node] = nodes;
    this.opset = opset;
    this.values = values;
  }

  get count(): number {
    return this.node.inputs.length;
  }

  /** Whether the node has this input. */
  has(index: number): boolean {
    return (this.node.inputs[index] ?? '') !== '';
  }

  value(index: number): Value {
    const value = this.values.get(this.node.inputs[index]);
    return value ?? unsupported(`input ${index} is no tensor`);
  }

  shape(index: number): number[] {
    return this.value(index).shape;
  }

  /** An input of floating-point numbers, as f32: one that f32 cannot hold is refused. */
  f(index: number): Tensor {
    const { type } = this.value(index);
    return FLOATS.includes(type) ? this.number(index) : unsupported(`arithmetic of ${type}`);
  }

  /** An input of any numbers, truth values included, as f32, where f32 holds every one of them. */
  number(index: number): Tensor {
    const { type, shape, values } = this.value(index);
    if (type.startsWith('type') || values.length !== sizeOf(shape)) unsupported(`what is no tensor, or one of ${type}`);
    const exact = FLOATS.includes(type)
      ? values.every((x) => Math.fround(x) === x || Number.isNaN(x))
      : values.every((x) => Math.abs(x) <= EXACT);
    if (!exact) unsupported(`${type} that f32 does not hold`);
    return this.device.tensor(Float32Array.from(values), shape);
  }

  /** An input whose values are only moved: f32, or u32 where it has integers ≥ 0. */
  moved(index: number): Tensor {
    const { type, shape, values } = this.value(index);
    if (values.length !== sizeOf(shape)) return this.number(index);
    const words = !FLOATS.includes(type) && values.every((x) => x >= 0 && x <= 0xffffffff);
    return words && values.length > 0 ? this.device.tensor(Uint32Array.from(values), shape) : this.number(index);
  }

  /** Integers that are constants of the host: axes, shapes, indices. */
  ints(index: number): number[] {
    return this.value(index).values;
  }

  /** Indices into an axis of this length, counted from the end below 0. */
  ids(index: number, length: number): Tensor {
    const { shape, values } = this.value(index);
    return this.device.tensor(
      Uint32Array.from(values, (i) => (i < 0 ? i + length : i)),
      shape,
    );
  }

  scalar(value: number): Tensor {
    return this.device.tensor([value], []);
  }

  private attribute(name: string): Attribute | undefined {
    return this.node.attributes.get(name);
  }

  attr(name: string, otherwise: number): number {
    return (this.attribute(name) as number | undefined) ?? otherwise;
  }

  text(name: string, otherwise: string): string {
    return (this.attribute(name) as string | undefined) ?? otherwise;
  }

  list(name: string): number[] | null {
    return (this.attribute(name) as number[] | undefined) ?? null;
  }

  /** What an attribute says, or in later versions an input; null where neither does. */
  listOr(name: string, index: number): number[] | null {
    return this.list(name) ?? (this.has(index) ? this.ints(index) : null);
  }
}
