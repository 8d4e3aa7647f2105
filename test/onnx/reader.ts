/**
 * Reads ONNX's models and tensors as far as its operator tests need it: protocol buffers by field number
 * (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). Numbers of every type become JavaScript's.
 */

/** A field of a message: an integer, or its bytes. */
type Field = [number: number, value: bigint | Uint8Array];

function fieldsOf(bytes: Uint8Array): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const [number, wire] = [tag >> 3, tag & 7];
    if (wire === 0) fields.push([number, varint()]);
    else {
      const length = wire === 2 ? Number(varint()) : wire === 1 ? 8 : wire === 5 ? 4 : -1;
      if (length < 0) throw new Error(`protobuf: expected a wire type of 0, 1, 2 or 5, got ${wire} at ${at}`);
      fields.push([number, bytes.subarray(at, at + length)]);
      at += length;
    }
  }
  return fields;
}

const all = (fields: Field[], number: number) => fields.filter(([n]) => n === number).map(([, value]) => value);
const messages = (fields: Field[], number: number) => all(fields, number) as Uint8Array[];
const text = (value: bigint | Uint8Array | undefined): string => new TextDecoder().decode(value as Uint8Array);
const signed = (value: bigint): number => Number(BigInt.asIntN(64, value));
const floatOf = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true);

/** Repeated numbers: one field each, or packed into one. */
function integers(fields: Field[], number: number): number[] {
  return all(fields, number).flatMap((value) => {
    if (typeof value === 'bigint') return [signed(value)];
    const padded = new Uint8Array(value.length * 2);
    // As if each were a field: a tag of field 1 before each number.
    let to = 0;
    let start = true;
    for (const byte of value) {
      if (start) padded[to++] = 8;
      padded[to++] = byte;
      start = byte < 128;
    }
    return fieldsOf(padded.subarray(0, to)).map(([, n]) => signed(n as bigint));
  });
}

function floats(fields: Field[], number: number): number[] {
  return messages(fields, number).flatMap((bytes) =>
    Array.from({ length: bytes.length / 4 }, (_, i) => floatOf(bytes.subarray(4 * i))),
  );
}

function half(bits: number): number {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}

/** TensorProto's types by number: name, bytes an element, and how one is read. */
const TYPES: Record<number, [name: string, bytes: number, read: (view: DataView, at: number) => number]> = {
  1: ['float', 4, (v, at) => v.getFloat32(at, true)],
  2: ['uint8', 1, (v, at) => v.getUint8(at)],
  3: ['int8', 1, (v, at) => v.getInt8(at)],
  4: ['uint16', 2, (v, at) => v.getUint16(at, true)],
  5: ['int16', 2, (v, at) => v.getInt16(at, true)],
  6: ['int32', 4, (v, at) => v.getInt32(at, true)],
  7: ['int64', 8, (v, at) => Number(v.getBigInt64(at, true))],
  9: ['bool', 1, (v, at) => v.getUint8(at)],
  10: ['float16', 2, (v, at) => half(v.getUint16(at, true))],
  11: ['double', 8, (v, at) => v.getFloat64(at, true)],
  12: ['uint32', 4, (v, at) => v.getUint32(at, true)],
  13: ['uint64', 8, (v, at) => Number(v.getBigUint64(at, true))],
};

/** A tensor of the host. */
export interface Value {
  /** ONNX's name of it; `type N` for those that are not read. */
  type: string;
  shape: number[];
  /** Empty for types that are not read. */
  values: number[];
}

export function readTensor(bytes: Uint8Array): Value {
  const fields = fieldsOf(bytes);
  const shape = integers(fields, 1);
  const number = Number(all(fields, 2)[0] ?? 0n);
  const found = TYPES[number];
  if (!found) return { type: `type ${number}`, shape, values: [] };
  const [type, width, read] = found;
  const [raw] = messages(fields, 9);
  if (raw) {
    const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    return { type, shape, values: Array.from({ length: raw.length / width }, (_, i) => read(view, i * width)) };
  }
  const doubles = messages(fields, 10).flatMap((packed) =>
    Array.from({ length: packed.length / 8 }, (_, i) =>
      new DataView(packed.buffer, packed.byteOffset).getFloat64(8 * i, true),
    ),
  );
  const words = [5, 7, 11].flatMap((field) => integers(fields, field));
  const values = [...floats(fields, 4), ...(type === 'float16' ? words.map(half) : words), ...doubles];
  return { type, shape, values };
}

export type Attribute = number | string | Value | number[];

/** One operator with its attributes; inputs and outputs that are left out have no name. */
export interface Node {
  op: string;
  inputs: string[];
  outputs: string[];
  attributes: Map<string, Attribute>;
}

/** AttributeProto's types by number. */
function readAttribute(fields: Field[]): Attribute | null {
  const [type] = all(fields, 20);
  switch (Number(type)) {
    case 1:
      return floats(fields, 2)[0] ?? 0;
    case 2:
      return integers(fields, 3)[0] ?? 0;
    case 3:
      return text(all(fields, 4)[0]);
    case 4:
      return readTensor(messages(fields, 5)[0]);
    case 6:
      return floats(fields, 7);
    case 7:
      return integers(fields, 8);
    default:
      return null;
  }
}

function readNode(fields: Field[]): Node {
  const attributes = new Map<string, Attribute>();
  for (const attribute of messages(fields, 5).map(fieldsOf)) {
    const value = readAttribute(attribute);
    if (value !== null) attributes.set(text(all(attribute, 1)[0]), value);
  }
  return {
    op: text(all(fields, 4)[0]),
    inputs: all(fields, 1).map(text),
    outputs: all(fields, 2).map(text),
    attributes,
  };
}

/** A model's graph: its nodes, and the version of the operators' definitions. */
export interface Model {
  nodes: Node[];
  inputs: string[];
  opset: number;
}

export function readModel(bytes: Uint8Array): Model {
  const fields = fieldsOf(bytes);
  const graph = fieldsOf(messages(fields, 7)[0]);
  const opset = messages(fields, 8)
    .map(fieldsOf)
    .find((f) => text(all(f, 1)[0] ?? new Uint8Array(0)) === '');
  return {
    nodes: messages(graph, 1).map((node) => readNode(fieldsOf(node))),
    inputs: messages(graph, 11).map((input) => text(all(fieldsOf(input), 1)[0])),
    opset: opset ? (integers(opset, 2)[0] ?? 1) : 1,
  };
}
