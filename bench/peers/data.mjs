/**
 * Inputs that every peer makes for itself, bit for bit the same in JavaScript and in peers/torch_peer.py: a hash of the
 * element's index, so that nothing large crosses a pipe.
 */

/** Chris Wellons' lowbias32 of (i, seed), as u32. */
function hash(i, seed) {
  let x = (i + Math.imul(seed, 0x9e3779b9)) | 0;
  x ^= x >>> 16;
  x = Math.imul(x, 0x7feb352d);
  x ^= x >>> 15;
  x = Math.imul(x, 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

const sizeOf = (shape) => shape.reduce((a, b) => a * b, 1);

/**
 * One input: f32 uniform in ±scale/2 around `offset`, or u32 uniform below `below`.
 * @param {{ shape: number[], seed: number, scale?: number, offset?: number, below?: number }} spec
 * @returns {Float32Array | Uint32Array}
 */
export function makeInput({ shape, seed, scale = 1, offset = 0, below }) {
  const n = sizeOf(shape);
  if (below) return Uint32Array.from({ length: n }, (_, i) => hash(i, seed) % below);
  return Float32Array.from({ length: n }, (_, i) => ((hash(i, seed) >>> 8) / 2 ** 24 - 0.5) * scale + offset);
}

/** All inputs of a case, by name. */
export function makeInputs(inputs) {
  return Object.fromEntries(Object.entries(inputs).map(([name, spec]) => [name, makeInput(spec)]));
}

/** `count` distinct indices below n, always the same ones. */
export function sample(n, count, seed = 1) {
  const found = new Set();
  for (let i = 0; found.size < Math.min(n, count); i++) found.add(hash(i, seed + 1000) % n);
  return [...found].sort((a, b) => a - b);
}
