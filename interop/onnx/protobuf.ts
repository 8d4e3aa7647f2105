/**
 * Protocol buffers as far as ONNX needs them: a message is pieces of bytes, so that the weights of a model are not copied.
 * https://protobuf.dev/programming-guides/encoding/
 */

const encoder = new TextEncoder();

/** A variable-length integer, 7 bits a byte, the lowest first. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value < 0 ? 2n ** 64n + BigInt(value) : BigInt(value);
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

const VARINT = 0;
const LENGTH = 2;
const FIXED32 = 5;
const tag = (field: number, type: number): Uint8Array => varint((field << 3) | type);

export class Message {
  readonly pieces: Uint8Array[] = [];
  length = 0;

  private add(...pieces: Uint8Array[]): this {
    for (const piece of pieces) {
      this.pieces.push(piece);
      this.length += piece.length;
    }
    return this;
  }

  integer(field: number, value: number): this {
    return this.add(tag(field, VARINT), varint(value));
  }

  float(field: number, value: number): this {
    return this.add(tag(field, FIXED32), new Uint8Array(Float32Array.of(value).buffer));
  }

  bytes(field: number, value: Uint8Array): this {
    return this.add(tag(field, LENGTH), varint(value.length), value);
  }

  text(field: number, value: string): this {
    return this.bytes(field, encoder.encode(value));
  }

  message(field: number, value: Message): this {
    this.add(tag(field, LENGTH), varint(value.length));
    for (const piece of value.pieces) this.add(piece);
    return this;
  }
}
