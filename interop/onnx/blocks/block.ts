import type { Settings } from '../../../model/recipes/settings.ts';
import type { Value } from '../graph.ts';
import type { Layers } from '../layers.ts';

/** The residual stream, and its norm that the next block reads. */
export interface ValueStream {
  x: Value;
  n: Value;
}

/** What a block attends with: from queries, keys and values [B, L, D] to [B, L, D]. */
export type Attend = (query: Value, key: Value, value: Value) => Value;

/** A kind of block (model/encoders/blocks) in ONNX. */
export interface OnnxBlock {
  /** A setting of it that cannot be written; null where all can. */
  refuses(s: Settings): keyof Settings | null;
  /** @param name of its parameters, as `blocks.0` @param next of the norm that follows */
  forward(layers: Layers, attend: Attend, name: string, stream: ValueStream, next: string): ValueStream;
}

/** Queries, keys and values of x through one matrix. */
export function projected(layers: Layers, name: string, x: Value): [Value, Value, Value] {
  return layers.graph.ops('Split', [layers.linear(name, x)], { axis: -1 }, 3) as [Value, Value, Value];
}
