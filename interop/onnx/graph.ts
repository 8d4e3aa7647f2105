/**
 * An ONNX model as it is built: nodes, weights, inputs and outputs, written by ONNX's schema (onnx.proto3 of
 * github.com/onnx/onnx; the numbers of fields are its own). Values are names.
 */
import { Message } from './protobuf.ts';

/** ir_version 8 and opset 17, of ONNX 1.12 (2022): layer normalization is an operator from there on. */
const IR_VERSION = 8;
const OPSET = 17;

const TYPES = { f32: 1, i64: 7, bool: 9 } as const;
type Type = keyof typeof TYPES;

/** The name of a value of the graph. */
export type Value = string;
/** A size that is fixed, or the name of one that varies. */
type Axis = number | string;
type Attribute = number | string | readonly number[] | { float: number };

export class Graph {
  private readonly body = new Message();
  private readonly inputs: Message[] = [];
  private readonly outputs: Message[] = [];
  private readonly weights: Message[] = [];
  private readonly constants = new Map<string, Value>();
  private count = 0;

  input(name: string, type: Type, shape: readonly Axis[]): Value {
    this.inputs.push(valueInfo(name, type, shape));
    return name;
  }

  /** Gives a value the name of an output. */
  output(value: Value, name: string, type: Type, shape: readonly Axis[]): void {
    this.node('Identity', [value], {}, [name]);
    this.outputs.push(valueInfo(name, type, shape));
  }

  /** A weight; its values are not copied. */
  weight(name: string, data: Float32Array | BigInt64Array, shape: readonly number[]): Value {
    const tensor = new Message();
    for (const size of shape) tensor.integer(1, size);
    tensor.integer(2, data instanceof Float32Array ? TYPES.f32 : TYPES.i64).text(8, name);
    tensor.bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    this.weights.push(tensor);
    return name;
  }

  /** A float scalar. */
  scalar(value: number): Value {
    return this.constant(`f${value}`, Float32Array.of(value), []);
  }

  /** A vector of integers. */
  integers(...values: number[]): Value {
    return this.constant(`i${values}`, BigInt64Array.from(values, BigInt), [values.length]);
  }

  /** An integer scalar. */
  integer(value: number): Value {
    return this.constant(`n${value}`, BigInt64Array.of(BigInt(value)), []);
  }

  private constant(key: string, data: Float32Array | BigInt64Array, shape: readonly number[]): Value {
    const known = this.constants.get(key);
    if (known !== undefined) return known;
    const name = this.weight(`constant.${key}`, data, shape);
    this.constants.set(key, name);
    return name;
  }

  /** Adds an operator. @returns its first output */
  op(type: string, inputs: readonly Value[], attributes: Readonly<Record<string, Attribute>> = {}): Value {
    return this.ops(type, inputs, attributes, 1)[0];
  }

  /** Adds an operator with several outputs. */
  ops(
    type: string,
    inputs: readonly Value[],
    attributes: Readonly<Record<string, Attribute>>,
    outputs: number,
  ): Value[] {
    const names = Array.from({ length: outputs }, () => `${type.toLowerCase()}.${++this.count}`);
    this.node(type, inputs, attributes, names);
    return names;
  }

  private node(
    type: string,
    inputs: readonly Value[],
    attributes: Readonly<Record<string, Attribute>>,
    outputs: readonly Value[],
  ): void {
    const node = new Message();
    for (const input of inputs) node.text(1, input);
    for (const output of outputs) node.text(2, output);
    node.text(3, `${type}.${outputs[0]}`).text(4, type);
    for (const [name, value] of Object.entries(attributes)) node.message(5, attribute(name, value));
    this.body.message(1, node);
  }

  /** The bytes of the model. @param properties free text, as `attune` → its version */
  pieces(name: string, producer: string, properties: Readonly<Record<string, string>>): Uint8Array[] {
    const graph = this.body.text(2, name);
    for (const weight of this.weights) graph.message(5, weight);
    for (const input of this.inputs) graph.message(11, input);
    for (const output of this.outputs) graph.message(12, output);
    const model = new Message().integer(1, IR_VERSION).text(2, producer).message(7, graph);
    model.message(8, new Message().text(1, '').integer(2, OPSET));
    for (const [key, value] of Object.entries(properties)) model.message(14, new Message().text(1, key).text(2, value));
    return model.pieces;
  }
}

/** Kinds of attributes, as AttributeProto numbers them. */
const FLOAT = 1;
const INTEGER = 2;
const STRING = 3;
const INTEGERS = 7;

function attribute(name: string, value: Attribute): Message {
  const message = new Message().text(1, name);
  if (typeof value === 'string') return message.text(4, value).integer(20, STRING);
  if (typeof value === 'number') return message.integer(3, value).integer(20, INTEGER);
  if ('float' in value) return message.float(2, value.float).integer(20, FLOAT);
  for (const one of value) message.integer(8, one);
  return message.integer(20, INTEGERS);
}

function valueInfo(name: string, type: Type, shape: readonly Axis[]): Message {
  const dims = new Message();
  for (const axis of shape)
    dims.message(1, typeof axis === 'number' ? new Message().integer(1, axis) : new Message().text(2, axis));
  const tensor = new Message().integer(1, TYPES[type]).message(2, dims);
  return new Message().text(1, name).message(2, new Message().message(1, tensor));
}
