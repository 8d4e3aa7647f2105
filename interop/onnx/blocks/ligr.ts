/** model/encoders/blocks/ligr.ts */
import { type OnnxBlock, projected } from './block.ts';

export const onnxLigr: OnnxBlock = {
  refuses: ({ bias }) => (bias === 'none' ? null : 'bias'),
  forward(layers, attend, name, { x, n }, next) {
    const gate = (which: string, from: string): string => layers.sigmoid(layers.linear(`${name}.${which}`, from));
    const own = layers.linear(`${name}.attention.out`, attend(...projected(layers, `${name}.attention.qkv`, n)));
    const between = layers.add(x, layers.mul(gate('gate1', x), own));
    const fed = layers.feedForward(`${name}.ffn`, layers.norm(`${name}.norm2`, between));
    const out = layers.add(between, layers.mul(gate('gate2', between), fed));
    return { x: out, n: layers.norm(next, out) };
  },
};
