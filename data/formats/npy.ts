/**
 * NumPy's array files, format version 1.0 (numpy.lib.format): `\x93NUMPY`, 1, 0, the header's length (u16, little
 * endian), the header (a Python dict, padded with spaces to a multiple of 64 bytes and ended by a newline), the values.
 */

/** The pieces of a file that holds f32 [rows, width], little-endian, row by row; the values are not copied. */
export function npyPieces(values: Float32Array, [rows, width]: readonly [number, number]): Uint8Array[] {
  if (values.length !== rows * width) {
    throw new Error(`npy: ${values.length} values do not fill [${rows},${width}]`);
  }
  const dict = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${width}), }`;
  const size = Math.ceil((10 + dict.length + 1) / 64) * 64;
  const head = new Uint8Array(size).fill(0x20);
  head.set([0x93, ...new TextEncoder().encode('NUMPY'), 1, 0, (size - 10) & 0xff, (size - 10) >> 8]);
  head.set(new TextEncoder().encode(dict), 10);
  head[size - 1] = 0x0a;
  return [head, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)];
}
