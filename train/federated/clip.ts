/** What a client does to its change before it leaves the device: the norm is clipped, and noise is added. */

/** Parameters, or changes of them, by name. */
export type WeightValues = Map<string, Float32Array>;

/** Fills an array with random bytes that cannot be guessed. */
export type RandomBytes = (bytes: Uint8Array<ArrayBuffer>) => void;

/** Most bytes of one call of the platform's generator. */
const CHUNK = 65_536;

/** The generator of the system. The noise of a seed could be computed again, and taken away. */
export const systemRandom: RandomBytes = (bytes) => {
  for (let at = 0; at < bytes.length; at += CHUNK) crypto.getRandomValues(bytes.subarray(at, at + CHUNK));
};

/** after − before, by name. */
export function changeBetween(
  after: ReadonlyMap<string, Float32Array>,
  before: ReadonlyMap<string, Float32Array>,
): WeightValues {
  return new Map(
    Array.from(after, ([name, values]) => {
      const old = before.get(name) as Float32Array;
      return [name, values.map((value, i) => value - old[i])];
    }),
  );
}

/** Euclidean norm over all parameters. */
export function normOf(values: ReadonlyMap<string, Float32Array>): number {
  let sum = 0;
  for (const array of values.values()) for (let i = 0; i < array.length; i++) sum += array[i] * array[i];
  return Math.sqrt(sum);
}

/** Scales a change down to a norm of at most `clip`, in place; 0 leaves it. @returns its norm before */
export function clipNorm(change: WeightValues, clip: number): number {
  const norm = normOf(change);
  if (clip > 0 && norm > clip) {
    const scale = clip / norm;
    for (const array of change.values()) for (let i = 0; i < array.length; i++) array[i] *= scale;
  }
  return norm;
}

/** Adds normal noise of this standard deviation to every number, in place. */
export function addNoise(change: WeightValues, deviation: number, random: RandomBytes = systemRandom): void {
  if (deviation === 0) return;
  for (const array of change.values()) {
    const noise = normalFrom(random, array.length);
    for (let i = 0; i < array.length; i++) array[i] += deviation * noise[i];
  }
}

/** n standard normal numbers by Box and Muller (1958); 53 bits in the radius, so that tails reach 8.5. */
export function normalFrom(random: RandomBytes, n: number): Float64Array {
  const out = new Float64Array(n);
  const words = new Uint32Array(3 * Math.ceil(n / 2));
  random(new Uint8Array(words.buffer));
  for (let i = 0, at = 0; i < n; i += 2, at += 3) {
    const uniform = ((words[at] >>> 5) * 2 ** 26 + (words[at + 1] >>> 6) + 1) * 2 ** -53;
    const radius = Math.sqrt(-2 * Math.log(uniform));
    const angle = 2 * Math.PI * words[at + 2] * 2 ** -32;
    out[i] = radius * Math.cos(angle);
    if (i + 1 < n) out[i + 1] = radius * Math.sin(angle);
  }
  return out;
}
