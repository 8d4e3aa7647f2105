/** HSTU (Zhai et al. 2024, "Actions Speak Louder than Words", eq. 1 to 3): pointwise attention, gated, no feed-forward. */
import { dropout, mul } from '../../../engine/index.ts';
import { LayerNorm, Linear, type Norm, type Parameter, type ParameterBuilder, type Stream } from '../../nn/index.ts';
import type { Settings } from '../../recipes/settings.ts';
import type { Block, BlockKind, Context } from '../context.ts';
import { selfAttend, biasShape } from './attend.ts';

/**
 * U, Q, K, V = silu(LN x · W); A = Σ_j silu(q·k_j + bias) v_j / T; x = x + dropout(U · LN(A)) W₂. T is the window, as the
 * authors' code divides by the padded length.
 */
class Hstu implements Block {
  readonly norm1: LayerNorm;
  private readonly qkv: Linear;
  private readonly bias: Parameter | null;
  private readonly gate: Linear;
  private readonly out: Linear;
  private readonly norm2: LayerNorm;
  private readonly i: number;

  constructor(p: ParameterBuilder, s: Settings, i: number) {
    const [attention, bias] = [p.at('attention'), biasShape(s)];
    this.i = i;
    this.norm1 = new LayerNorm(p.at('norm1'), s.d);
    this.qkv = new Linear(attention.at('qkv'), s.d, 3 * s.d);
    this.bias = bias && attention.add('bias', bias, { init: 0 });
    this.gate = new Linear(p.at('gate'), s.d, s.d);
    this.out = new Linear(attention.at('out'), s.d, s.d);
    this.norm2 = new LayerNorm(p.at('norm2'), s.d);
  }

  forward(c: Context, { x, n }: Stream, next: Norm): Stream {
    const qkv = this.qkv.forward(n, { activation: 'silu' });
    const u = this.gate.forward(n, { activation: 'silu' });
    const a = this.norm2.forward(selfAttend(c, this.i, qkv, this.bias, c.settings.window));
    return next.add(x, this.out.forward(dropout(mul(u, a), c.dropout)), 0);
  }
}

export const hstu: BlockKind = {
  help: 'pointwise attention, gated, without feed-forward layers (HSTU)',
  attention: 'pointwise',
  ignores: ['ff'],
  requires: { norm: 'pre' },
  create: (p, s, i) => new Hstu(p, s, i),
};
