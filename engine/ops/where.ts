/** One of two tensors, element by element. */
import { gradOf } from '../autograd.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { expectConstants, expectType } from './shared/check.ts';
import { intoSide } from './shared/reduce.ts';
import { broadcastShape, map, repeated, stridesOf } from './shared/strided.ts';
import { hold, pass, pick } from './where.ref.ts';

/** a where the condition is not 0, else b; all three broadcast. The condition is f32 or u32 and has no gradient. */
export function where(condition: Tensor, a: Tensor, b: Tensor): Tensor {
  const { device } = a;
  expectConstants('where', { condition });
  if (b.dtype !== a.dtype) expectType('where', 'b', b, a.dtype);
  const both = broadcastShape(a.shape, b.shape);
  const shape = both && broadcastShape(condition.shape, both);
  if (!shape) {
    const got = [condition, a, b].map((t) => showShape(t.shape)).join(' · ');
    throw new Error(`where: expected shapes that broadcast (equal from the last axis on, or 1), got ${got}`);
  }
  const y = device.empty(shape, a.dtype, 'where');
  const flat = stridesOf(shape);
  const walks = { a: repeated(condition, shape), b: repeated(a, shape), c: repeated(b, shape) };
  map('where', pick(condition.dtype), shape, { ...walks, y: { tensor: y, strides: flat } });
  device.tape.record([a, b], y, () => {
    for (const [side, rule] of [
      [a, pass],
      [b, hold],
    ] as const) {
      intoSide(side, y, (g, acc) => {
        const dy = { tensor: gradOf(y), strides: flat };
        map('where', rule(condition.dtype), shape, { a: walks.a, b: dy, y: { tensor: g, strides: flat } }, acc);
      });
    }
  });
  return y;
}
