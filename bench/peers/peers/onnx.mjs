/** The little of ONNX's protobuf that a graph needs (onnx.proto3, field numbers as there). */

const text = new TextEncoder();

function varint(n) {
  const bytes = [];
  let rest = BigInt.asUintN(64, BigInt(n));
  do {
    const low = Number(rest & 127n);
    rest >>= 7n;
    bytes.push(rest ? low | 128 : low);
  } while (rest);
  return Uint8Array.from(bytes);
}

const join = (parts) => Buffer.concat(parts);
const integer = (field, n) => join([varint(field << 3), varint(n)]);
const bytes = (field, data) => join([varint((field << 3) | 2), varint(data.length), data]);
const string = (field, value) => bytes(field, text.encode(value));
const float = (field, value) => join([varint((field << 3) | 5), new Uint8Array(Float32Array.of(value).buffer)]);

const TYPES = { float32: 1, int32: 6, int64: 7 };

function attribute(name, value) {
  const body = [string(1, name)];
  if (Array.isArray(value)) body.push(...value.map((n) => integer(8, n)), integer(20, 7));
  else if (typeof value === 'object') body.push(float(2, value.float), integer(20, 1));
  else body.push(integer(3, value), integer(20, 2));
  return join(body);
}

function valueInfo(name, shape, type = 'float32') {
  const dims = join(shape.map((n) => bytes(1, integer(1, n))));
  return join([string(1, name), bytes(2, bytes(1, join([integer(1, TYPES[type]), bytes(2, dims)])))]);
}

/**
 * A model of one graph.
 * @param {object} graph
 * @param {{ op: string, inputs: string[], outputs: string[], attributes?: object, domain?: string }[]} graph.nodes
 *   attributes are integers, lists of integers, or { float }
 * @param {Record<string, number[]>} graph.inputs shapes, f32
 * @param {Record<string, number[]>} graph.outputs shapes, f32
 * @param {Record<string, { shape: number[], data: Float32Array | BigInt64Array }>} [graph.constants]
 */
export function onnxModel({ nodes, inputs, outputs, constants = {} }) {
  const node = ({ op, inputs: from, outputs: to, attributes = {}, domain }) =>
    join([
      ...from.map((name) => string(1, name)),
      ...to.map((name) => string(2, name)),
      string(4, op),
      ...Object.entries(attributes).map(([name, value]) => bytes(5, attribute(name, value))),
      ...(domain ? [string(7, domain)] : []),
    ]);
  const tensor = (name, { shape, data }) =>
    join([
      ...shape.map((n) => integer(1, n)),
      integer(2, data instanceof Float32Array ? TYPES.float32 : TYPES.int64),
      string(8, name),
      bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
    ]);
  const graph = join([
    ...nodes.map((one) => bytes(1, node(one))),
    string(2, 'bench'),
    ...Object.entries(constants).map(([name, value]) => bytes(5, tensor(name, value))),
    ...Object.entries(inputs).map(([name, shape]) => bytes(11, valueInfo(name, shape))),
    ...Object.entries(outputs).map(([name, shape]) => bytes(12, valueInfo(name, shape))),
  ]);
  const opset = (domain, version) => bytes(8, join([string(1, domain), integer(2, version)]));
  return join([integer(1, 8), bytes(7, graph), opset('', 17), opset('com.microsoft', 1)]);
}
