/** model/encoders/blocks/transformer.ts */
import { type OnnxBlock, projected, type Attend, type ValueStream } from './block.ts';
import type { Layers } from '../layers.ts';
import type { Settings } from '../../../model/recipes/settings.ts';

type Forward = (layers: Layers, attend: Attend, name: string, stream: ValueStream, next: string) => ValueStream;

const attended = (layers: Layers, attend: Attend, name: string, x: string): string =>
  layers.linear(`${name}.attention.out`, attend(...projected(layers, `${name}.attention.qkv`, x)));

const before: Forward = (layers, attend, name, { x, n }, next) => {
  const between = layers.add(x, attended(layers, attend, name, n));
  const out = layers.add(between, layers.feedForward(`${name}.ffn`, layers.norm(`${name}.norm2`, between)));
  return { x: out, n: layers.norm(next, out) };
};

const BY_NORM: Readonly<Record<Settings['norm'], Forward>> = {
  pre: before,
  rms: before,
  post(layers, attend, name, { x }) {
    const between = layers.norm(`${name}.norm1`, layers.add(x, attended(layers, attend, name, x)));
    const out = layers.norm(`${name}.norm2`, layers.add(between, layers.feedForward(`${name}.ffn`, between)));
    return { x: out, n: out };
  },
  query(layers, attend, name, { x, n }, next) {
    const query = layers.linear(`${name}.attention.query`, n);
    const [key, value] = layers.graph.ops('Split', [layers.linear(`${name}.attention.keyvalue`, x)], { axis: -1 }, 2);
    const between = layers.norm(`${name}.norm2`, layers.add(n, attend(query, key, value)));
    const out = layers.add(between, layers.feedForward(`${name}.ffn`, between));
    return { x: out, n: layers.norm(next, out) };
  },
};

export const onnxTransformer: OnnxBlock = {
  refuses: ({ bias }) => (bias === 'none' ? null : 'bias'),
  forward: (layers, attend, name, stream, next) => BY_NORM[layers.settings.norm](layers, attend, name, stream, next),
};
