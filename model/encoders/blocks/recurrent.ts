/** A recurrence in place of attention (HGRN, Qin et al. 2023, eq. 3 to 7, with real numbers): its cost is linear in the length. */
import { gatedRecurrence, mul } from '../../../engine/index.ts';
import { FeedForward, LayerNorm, Linear, type Norm, type ParameterBuilder, type Stream } from '../../nn/index.ts';
import type { Settings } from '../../recipes/settings.ts';
import type { Block, BlockKind, Context } from '../context.ts';

/** x = x + dropout(W₃ (silu(n W₁) · H(n W₂))); x = x + dropout(FF(LN x)), H the gated recurrence. */
class Recurrent implements Block {
  readonly norm1: LayerNorm;
  private readonly states: Linear;
  private readonly gate: Linear;
  private readonly out: Linear;
  private readonly norm2: LayerNorm;
  private readonly ffn: FeedForward;

  constructor(p: ParameterBuilder, s: Settings) {
    const recurrence = p.at('recurrence');
    this.norm1 = new LayerNorm(p.at('norm1'), s.d);
    this.states = new Linear(recurrence.at('states'), s.d, 2 * s.d, { bias: firstGates(s.d, s.window) });
    this.gate = new Linear(recurrence.at('gate'), s.d, s.d);
    this.out = new Linear(recurrence.at('out'), s.d, s.d);
    this.norm2 = new LayerNorm(p.at('norm2'), s.d);
    this.ffn = new FeedForward(p.at('ffn'), s.d, s.ff, s.activation);
  }

  forward(c: Context, { x, n }: Stream, next: Norm): Stream {
    const read = gatedRecurrence(this.states.forward(n), c.tokens.start);
    const gated = this.out.forward(mul(this.gate.forward(n, { activation: 'silu' }), read));
    const between = this.norm2.add(x, gated, c.dropout);
    return next.add(between.x, this.ffn.forward(between.n), c.dropout);
  }
}

/** The gates' first biases: channels keep an event for 1 to `window` steps, evenly in the logarithm; 0 for the values. */
function firstGates(d: number, window: number): Float32Array {
  const kept = (c: number): number => window ** (c / (d - 1));
  return Float32Array.from({ length: 2 * d }, (_, c) => (c < d ? Math.log(kept(c)) : 0));
}

export const recurrent: BlockKind = {
  help: 'a gated linear recurrence in place of attention (HGRN), for long histories',
  attention: 'none',
  ignores: ['heads'],
  requires: { norm: 'pre', direction: 'causal', bias: 'none' },
  create: (p, s) => new Recurrent(p, s),
};
