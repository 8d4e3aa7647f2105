/**
 * Stateless random numbers: Threefry-2x32 with 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as
 * 1, 2, 3", §4.2). A key and a counter give two random words; the same four words give the same two on every machine.
 * kernels/lib/threefry.wgsl is its twin on the device, bit for bit.
 */

const PARITY = 0x1bd11bda;
const ROTATIONS = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
];

/** Two random words (u32) for the key (k0, k1) and the counter (c0, c1), all u32. */
export function threefry2x32(k0: number, k1: number, c0: number, c1: number): [number, number] {
  const keys = [k0, k1, PARITY ^ k0 ^ k1];
  let x = (c0 + k0) | 0;
  let y = (c1 + k1) | 0;
  for (let group = 0; group < 5; group++) {
    for (const by of ROTATIONS[group & 1]) {
      x = (x + y) | 0;
      y = ((y << by) | (y >>> (32 - by))) ^ x;
    }
    x = (x + keys[(group + 1) % 3]) | 0;
    y = (y + keys[(group + 2) % 3] + group + 1) | 0;
  }
  return [x >>> 0, y >>> 0];
}

/** A random word as a number in [0, 1), 24 bits of it, so that f32 holds it exactly. */
export const toUniform = (word: number): number => (word >>> 8) * 2 ** -24;

/** `n` uniform numbers in [low, high); `stream` keeps the tensors of one seed apart. */
export function uniform(n: number, seed: number, stream: number, low = 0, high = 1): Float32Array<ArrayBuffer> {
  const out = new Float32Array(n);
  for (let i = 0; i < n; i += 2) {
    const words = threefry2x32(seed, stream, 0, i / 2);
    out[i] = low + (high - low) * toUniform(words[0]);
    if (i + 1 < n) out[i + 1] = low + (high - low) * toUniform(words[1]);
  }
  return out;
}

/** `n` normal numbers (Box–Muller: two words give two numbers); `stream` keeps the tensors of one seed apart. */
export function normal(n: number, seed: number, stream: number, std = 1, mean = 0): Float32Array<ArrayBuffer> {
  const out = new Float32Array(n);
  for (let i = 0; i < n; i += 2) {
    const [a, b] = threefry2x32(seed, stream, 1, i / 2);
    const radius = std * Math.sqrt(-2 * Math.log((a + 1) * 2 ** -32));
    const angle = 2 * Math.PI * b * 2 ** -32;
    out[i] = mean + radius * Math.cos(angle);
    if (i + 1 < n) out[i + 1] = mean + radius * Math.sin(angle);
  }
  return out;
}

/** The numbers 0 … n − 1 in random order (Fisher–Yates); `stream` keeps the shuffles of one seed apart. */
export function permutation(n: number, seed: number, stream: number): Uint32Array<ArrayBuffer> {
  const out = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(threefry2x32(seed, stream, 2, i)[0] * 2 ** -32 * (i + 1));
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}
