/**
 * The random numbers of private training, which must stay secret: who could draw them again could take the noise out, and
 * would know which users a step had. They come from the platform's cryptographic generator, and are never stored.
 *
 * Normal numbers are made in floating point, so that their last bits are not those of an ideal Gaussian (Mironov, "On
 * significance of the least significant bits for differential privacy", 2012): the guarantee is that of the ideal one.
 */
import { seeded } from '../../data/random.ts';

/** Words that are drawn at once: as many as getRandomValues gives. */
const WORDS = 16_384;
/** Stream of the seed, apart from all others. */
const STREAM = 0x6e015e;

/** Uniform numbers in [0, 1), each from 53 random bits. */
export function secretUniform(): () => number {
  const words = new Uint32Array(WORDS);
  let at = WORDS;
  return () => {
    if (at === WORDS) {
      globalThis.crypto.getRandomValues(words);
      at = 0;
    }
    const high = words[at++] >>> 5;
    const low = words[at++] >>> 6;
    return (high * 2 ** 26 + low) * 2 ** -53;
  };
}

/** The same from a seed, which whoever knows it can repeat: for tests and measurements. @param step draws of its own */
export const repeatableUniform = (seed: number, step: number): (() => number) => seeded(seed, STREAM ^ step).next;

/** Fills `out` with normal numbers of mean 0 (Box–Muller). @param deviation their standard deviation */
export function fillNormal(out: Float32Array, deviation: number, uniform: () => number): void {
  for (let i = 0; i < out.length; i += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    out[i] = radius * Math.cos(angle);
    if (i + 1 < out.length) out[i + 1] = radius * Math.sin(angle);
  }
}
