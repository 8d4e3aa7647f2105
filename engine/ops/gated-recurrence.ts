/** A gated linear recurrence (HGRN, Qin et al. 2023, "Hierarchically Gated Recurrent Neural Network", eq. 3 to 6, real). */
import { gradOf, into } from '../autograd.ts';
import { groups, kernel } from '../kernel.ts';
import { showShape, type Tensor } from '../tensor.ts';
import { gatedRecurrenceBackward, gatedRecurrenceForward } from './gated-recurrence.ref.ts';
import { expectType } from './shared/check.ts';

const FORWARD = kernel('gated_recurrence_fwd', (p) => groups(p.d4, 8));
const BACKWARD = kernel('gated_recurrence_bwd', (p) => groups(p.d4, 8));

/**
 * y[t] = a[t] · y[t − 1] + (1 − a[t]) · v[t] with a = σ(f), channel by channel, from zero where a history starts: [L, D].
 *
 * @param x f and v side by side, [L, 2D], D a multiple of 4
 * @param start u32 [L]: the first token of each token's history
 */
export function gatedRecurrence(x: Tensor, start: Tensor): Tensor {
  const { device } = x;
  expectType('gatedRecurrence', 'x', x);
  if (x.rank !== 2 || x.shape[1] % 8 !== 0)
    throw new Error(`gatedRecurrence: expected x [L, 2D] with D a multiple of 4, got ${showShape(x.shape)}`);
  const [l, width] = x.shape;
  if (start.dtype !== 'u32' || start.size !== l)
    throw new Error(`gatedRecurrence: expected start u32 [${l}], got ${start.dtype} ${showShape(start.shape)}`);
  const y = device.empty([l, width / 2], 'f32', 'gatedRecurrence');
  const params = { l, d4: width / 8 };
  device.run(FORWARD, gatedRecurrenceForward, { x, start, y }, params);
  device.tape.record([x], y, () => {
    const { grad: dx, acc } = into(x);
    device.run(BACKWARD, gatedRecurrenceBackward, { x, start, y, dy: gradOf(y), dx }, { ...params, acc });
  });
  return y;
}
