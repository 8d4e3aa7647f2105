import type { DType } from '../tensor.ts';
import type { MapRule } from './shared/strided.ts';

/** Whether a is not 0; of numbers by the bits, so that NaN counts as what is not 0. */
const holds = (dtype: DType): string => (dtype === 'u32' ? 'a != 0u' : '(bitcast<u32>(a) & 0x7fffffffu) != 0u');

/** b where a, of this type, is not 0, else c. */
export const pick = (dtype: DType): MapRule => ({
  f: `select(c, b, ${holds(dtype)})`,
  reference: (a, b, c) => (a !== 0 ? b : c),
});

/** b where a is not 0, else 0. */
export const pass = (dtype: DType): MapRule => ({
  f: `select(0.0, b, ${holds(dtype)})`,
  reference: (a, b) => (a !== 0 ? b : 0),
});

/** 0 where a is not 0, else b. */
export const hold = (dtype: DType): MapRule => ({
  f: `select(b, 0.0, ${holds(dtype)})`,
  reference: (a, b) => (a !== 0 ? 0 : b),
});
