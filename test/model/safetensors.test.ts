import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../data/errors.ts';
import { decode, encode, encodePieces, type StoredTensor } from '../../model/storage/safetensors.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import { commit, Snapshot } from '../../model/storage/manifest.ts';
import { loadSegmentPrior, saveSegmentPrior, USERS } from '../../model/transitions/segment-prior.ts';
import { loadTransitions, MEMORY, saveTransitions } from '../../model/transitions/transitions.ts';
import { checkRows } from '../../model/storage/tensors.ts';

const f32 = (shape: number[], ...values: number[]): StoredTensor => ({ shape, data: new Float32Array(values) });

/** A file put together by hand, as the format's page describes it. */
function file(header: string, data: number[] | Uint8Array): Uint8Array {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

/** The header's entry of one float from byte `from` to `to`. */
const entry = (name: string, from: number, to: number): string =>
  `"${name}":{"dtype":"F32","shape":[1],"data_offsets":[${from},${to}]}`;

describe('encode', () => {
  test('lays out length, header, data as the format says', () => {
    const bytes = encode(new Map([['a', f32([2, 1], 1, -2)]]), new Map([['k', 'v']]));
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect((8 + length) % 8).toBe(0);
    const text = new TextDecoder().decode(bytes.subarray(8, 8 + length));
    expect(text.trimEnd()).toBe('{"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}');
    expect([...bytes.subarray(8 + length)]).toEqual([0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
  });

  test('pieces are views, not copies', () => {
    const tensor = f32([2], 1, 2);
    expect(encodePieces(new Map([['a', tensor]]))[1].buffer).toBe(tensor.data.buffer);
  });

  test('refuses a shape that does not fit and a reserved name', () => {
    expect(() => encode(new Map([['a', f32([3], 1, 2)]]))).toThrow('safetensors: a: shape [3] does not hold the 2');
    expect(() => encode(new Map([['__metadata__', f32([0])]]))).toThrow('__metadata__');
  });
});

describe('decode', () => {
  test('returns what was encoded, bit for bit, odd names included', () => {
    const name = fc.oneof(fc.constantFrom('__proto__', 'constructor', 'toString', '', 'a"b\\c\n', '键'), fc.string());
    const tensor = fc.tuple(fc.boolean(), fc.uint32Array({ maxLength: 12 }), fc.boolean()).map(
      ([float, bits, column]): StoredTensor => ({
        shape: column ? [bits.length, 1] : [bits.length],
        data: float ? new Float32Array(bits.buffer.slice(0)) : bits,
      }),
    );
    const distinct = { selector: ([key]: [string, unknown]) => key };
    const tensors = fc.uniqueArray(fc.tuple(name, tensor), distinct).map((rows) => new Map(rows));
    const metadata = fc.uniqueArray(fc.tuple(name, fc.string()), distinct).map((rows) => new Map(rows));
    fc.assert(
      fc.property(tensors, metadata, fc.nat({ max: 7 }), (tensors, metadata, shift) => {
        tensors.delete('__metadata__');
        const bytes = encode(tensors, metadata);
        const moved = new Uint8Array(bytes.length + shift).subarray(shift);
        moved.set(bytes);
        const back = decode(moved);
        expect(back.metadata).toEqual(metadata);
        expect([...back.tensors.keys()].sort()).toEqual([...tensors.keys()].sort());
        for (const [key, { shape, data }] of tensors) {
          const other = back.tensors.get(key) as StoredTensor;
          expect(other.shape).toEqual(shape);
          expect(other.data.constructor).toBe(data.constructor);
          const bits = (array: Float32Array | Uint32Array) => [
            ...new Uint32Array(array.buffer.slice(array.byteOffset, array.byteOffset + array.byteLength)),
          ];
          expect(bits(other.data)).toEqual(bits(data));
        }
      }),
    );
  });

  test('views the bytes where they are aligned', () => {
    const bytes = encode(new Map([['a', f32([2], 1, 2)]]));
    expect(decode(bytes).tensors.get('a')?.data.buffer).toBe(bytes.buffer);
  });

  test('reads files of other writers: unaligned header, any order, a scalar', () => {
    const header =
      '{"b":{"dtype":"U32","shape":[],"data_offsets":[4,8]}, "a":{"data_offsets":[0,4],"shape":[1],"dtype":"F32"}}';
    const { tensors } = decode(file(header, [0, 0, 0x80, 0x3f, 7, 0, 0, 0]));
    expect(tensors.get('a')).toEqual({ shape: [1], data: new Float32Array([1]) });
    expect(tensors.get('b')).toEqual({ shape: [], data: new Uint32Array([7]) });
  });

  test('every way of cutting a file short is one clear line', () => {
    const whole = encode(
      new Map([
        ['a', f32([3], 1, 2, 3)],
        ['b', f32([2], 4, 5)],
      ]),
      new Map([['k', 'v']]),
    );
    for (let length = 0; length < whole.length; length++) {
      let message = '';
      try {
        decode(whole.slice(0, length), 'm/x.safetensors');
      } catch (error) {
        expect(error).toBeInstanceOf(InputError);
        message = (error as Error).message;
      }
      expect(message).toMatch(/^m\/x\.safetensors: cut short[^\n]*$/);
    }
  });

  test.each([
    ['garbage', new TextEncoder().encode('userId,movieId,rating'), 'not a safetensors file'],
    ['no JSON', file('{"a":', []), 'header is not JSON'],
    ['a list', file('[]', []), 'not a JSON object'],
    ['another dtype', file('{"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}', [0, 0]), 'dtype BF16'],
    ['a bad shape', file('{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', [0, 0, 0, 0]), 'shape'],
    ['bad offsets', file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}', [0, 0, 0, 0]), 'data_offsets'],
    ['a wrong span', file('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', [0, 0, 0, 0]), 'needs 8 bytes'],
    ['a gap', file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', new Uint8Array(8)), 'expected 0'],
    ['a tail', file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', new Uint8Array(8)), '4 bytes follow'],
    ['metadata not text', file('{"__metadata__":{"k":1}}', []), 'is not text'],
    ['a tensor twice', file(`{${entry('a', 0, 4)},${entry('a', 4, 8)}}`, new Uint8Array(8)), 'the key "a" twice'],
    ['a key twice by escapes', file(`{${entry('a', 0, 4)},${entry('\\u0061', 4, 8)}}`, new Uint8Array(8)), '"a" twice'],
    [
      'a key twice in an entry',
      file('{"a":{"dtype":"F32","dtype":"U32","shape":[0],"data_offsets":[0,0]}}', []),
      'twice',
    ],
    ['metadata twice', file('{"__metadata__":{},"__metadata__":{}}', []), 'twice'],
    ['a key of the metadata twice', file('{"__metadata__":{"k":"1","k":"2"}}', []), 'the key "k" twice'],
    ['an offset 4.0', file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4.0]}}', [0, 0, 0, 0]), 'got 4.0'],
    ['an offset 4e0', file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4e0]}}', [0, 0, 0, 0]), 'got 4e0'],
    ['an offset -0', file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[-0,4]}}', [0, 0, 0, 0]), 'got -0'],
    ['a byte-order mark', file('\ufeff{}', []), 'header is not JSON'],
    ['a space before the header', file(' {}', []), 'does not start with {'],
    ['a line break after the header', file('{}\n', []), 'does not start with { and end with }'],
    ['an unknown key', file('{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0],"x":"y"}}', []), 'unknown key "x"'],
    [
      'an overlap',
      file(`{${entry('a', 0, 4)},${entry('b', 0, 4)}}`, [0, 0, 0, 0]),
      'starts at data byte 0, expected 4',
    ],
    ['a hole', file(`{${entry('a', 0, 4)},${entry('b', 8, 12)}}`, new Uint8Array(12)), 'at data byte 8, expected 4'],
    [
      'a size beyond any file',
      file('{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}', []),
      'needs',
    ],
    ['a shape of text', file('{"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}}', [0, 0, 0, 0]), 'shape'],
    [
      'offsets the wrong way round',
      file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}', [0, 0, 0, 0]),
      'span -4',
    ],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => decode(bytes)).toThrow(InputError);
    expect(() => decode(bytes)).toThrow(message);
  });

  test('no damaged byte of the header gets past unnoticed as anything but an InputError', () => {
    const whole = encode(new Map([['a', f32([2], 1, 2)]]), new Map([['k', 'v']]));
    fc.assert(
      fc.property(fc.nat({ max: whole.length - 9 }), fc.nat({ max: 255 }), (at, value) => {
        const bytes = whole.slice();
        bytes[at] = value;
        try {
          decode(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('rows of a sparse matrix', () => {
  const check = (starts: number[], columns: number[], width = 4) =>
    checkRows(Uint32Array.from(starts), Uint32Array.from(columns), width, 'memory.safetensors');

  test('cover all entries, from the first to the last', () => {
    expect(() => check([0, 2, 2, 3], [0, 3, 1])).not.toThrow();
    expect(() => check([0], [])).not.toThrow();
  });

  test.each([
    [
      'a first row that starts after the first entry',
      [1, 2, 2, 3],
      [0, 3, 1],
      'expected the first to start at entry 0, got 1',
    ],
    [
      'a row that starts before the one above it',
      [0, 2, 1, 3],
      [0, 3, 1],
      'expected row 2 to start at entry 2 or later, got 1',
    ],
    ['a last row that ends too early', [0, 2, 2, 2], [0, 3, 1], 'expected the last to end at entry 3, got 2'],
    ['a last row that ends too late', [0, 2, 2, 4], [0, 3, 1], 'expected the last to end at entry 3, got 4'],
    ['a column beyond the last', [0, 2, 2, 3], [0, 4, 1], 'expected integers below 4, got 4 at 1'],
  ])('are refused with %s', (_, starts, columns, message) => {
    expect(() => check(starts, columns)).toThrow(InputError);
    expect(() => check(starts, columns)).toThrow(/^memory\.safetensors: damaged: /);
    expect(() => check(starts, columns)).toThrow(message);
  });
});

const fitted = { users: 1, popularity: 0, groups: 0 };

test.each([
  ['item transitions', loadTransitions, MEMORY, 'rowStarts'],
  ['segment prior', loadSegmentPrior, USERS, 'starts'],
] as const)(
  'the file of %s is refused where its first row starts after the first entry',
  async (_, load, part, name) => {
    const files = new MemoryFiles('model');
    const rows = { starts: Uint32Array.of(0, 1, 2), columns: Uint32Array.of(1, 0), values: Float32Array.of(1, 2) };
    const settings = { method: 'exact', last: 1, power: 1, lambda: 1, kept: 2 } as const;
    await saveTransitions(files, { settings, rows });
    const counts = { ...rows, items: Float32Array.of(1, 2) };
    await saveSegmentPrior(files, { counts, settings: { shrinkage: 1, strength: 1, weights: [], fitted } });
    expect(await load(files, 2)).not.toBeNull();
    const { tensors, metadata } = decode((await (await Snapshot.open(files)).read(part)) as Uint8Array);
    (tensors.get(name) as StoredTensor).data[0] = 1;
    await commit(files, { [part]: encodePieces(tensors, metadata) });
    await expect(load(files, 2)).rejects.toThrow(
      /safetensors: damaged: rows: expected the first to start at entry 0, got 1/,
    );
  },
);
