import type { Reference } from '../reference.ts';
import { STATE, STATUS } from '../state.ts';
import { floatOf } from './adamw.ref.ts';

export const sgdReference: Reference = (
  { state, status, params, grads, m },
  { n, decay_end, momentum, nesterov, decay },
) => {
  if (status[STATUS.FAILED]) return;
  const rate = floatOf(state[STATE.LEARNING_RATE]);
  const scale = floatOf(status[STATUS.SCALE]);
  for (let i = 0; i < n; i++) {
    const g = grads[i] * scale + (i < decay_end ? decay * params[i] : 0);
    let step = g;
    if (momentum !== 0) {
      m[i] = momentum * m[i] + g;
      step = nesterov ? g + momentum * m[i] : m[i];
    }
    params[i] -= rate * step;
    grads[i] = 0;
  }
};
