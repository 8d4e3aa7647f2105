/**
 * SASRec.pytorch (pmixer), after the authors' code: queries alone are normalized (norm=query). Row 0 of the items is padding;
 * position p is row p, counted from the start of a window that is padded in front. The output matrix of its attention joins
 * the values, which takes one head: A · (x Wv + bv) · Wo + bo = A · (x Wv Wo + bv Wo + bo), the rows of A adding up to 1.
 */
import { InputError } from '../../data/errors.ts';
import type { StoredTensor } from '../../model/storage/safetensors.ts';
import { beside, endToEnd, LARGER, type Layout, linearWeight, withoutPadding } from './layout.ts';

export const pmixer: Layout = {
  name: 'SASRec.pytorch',
  mark: 'attention_layers.0.in_proj_weight',
  defaults: { heads: '1', activation: 'relu' },
  notes: [
    'it pads histories that do not fill its window, and attends to the padding: only full windows have its scores',
    'blocks are read as in its code before norm_first: queries alone are normalized',
  ],
  convert(source, heads) {
    if (heads !== 1) {
      throw new InputError('unsupported', 'attention with an output matrix can be read with one head alone', {
        setting: 'settings.heads',
        value: heads,
      });
    }
    const items = source.take('item_emb.weight', null, null);
    const d = items.shape[1];
    const positions = source.take('pos_emb.weight', null, d);
    const blocks = source.count('attention_layers');
    const tensors = new Map<string, StoredTensor>();
    const norm = (to: string, from: string): void => {
      for (const part of ['weight', 'bias']) tensors.set(`${to}.${part}`, source.take(`${from}.${part}`, d));
    };
    tensors.set('items.weight', withoutPadding(items, LARGER));
    tensors.set('positions.weight', withoutPadding(positions, LARGER));
    norm('norm', 'last_layernorm');
    for (let i = 0; i < blocks; i++) {
      const [to, attention] = [`blocks.${i}`, `attention_layers.${i}`];
      const weight = source.take(`${attention}.in_proj_weight`, 3 * d, d);
      const bias = source.take(`${attention}.in_proj_bias`, 3 * d).data;
      const third = (n: number): StoredTensor & { data: Float32Array } =>
        linearWeight({ shape: [d, d], data: weight.data.subarray(n * d * d, (n + 1) * d * d) });
      // Keys and values read the embeddings as they are, in the first block the larger ones.
      const smaller = i === 0 ? 1 / LARGER : 1;
      const scaled = ({ shape, data }: StoredTensor): StoredTensor => ({
        shape,
        data: (data as Float32Array).map((x) => x * smaller),
      });
      const out = linearWeight(source.take(`${attention}.out_proj.weight`, d, d));
      const outBias = source.take(`${attention}.out_proj.bias`, d).data;
      const value = product(third(2).data, out.data, d);
      const valueBias = product(bias.subarray(2 * d), out.data, d).map((x, c) => x + outBias[c]);
      tensors.set(`${to}.attention.query.weight`, third(0));
      tensors.set(`${to}.attention.query.bias`, { shape: [d], data: bias.slice(0, d) });
      const keyvalue = beside(scaled(third(1)), scaled({ shape: [d, d], data: value }));
      tensors.set(`${to}.attention.keyvalue.weight`, keyvalue);
      tensors.set(`${to}.attention.keyvalue.bias`, endToEnd(bias.subarray(d, 2 * d), valueBias));
      norm(`${to}.norm1`, `attention_layernorms.${i}`);
      norm(`${to}.norm2`, `forward_layernorms.${i}`);
      for (const [name, conv] of [
        ['up', 'conv1'],
        ['down', 'conv2'],
      ]) {
        const { data } = source.take(`forward_layers.${i}.${conv}.weight`, d, d, 1);
        tensors.set(`${to}.ffn.${name}.weight`, linearWeight({ shape: [d, d], data }));
        tensors.set(`${to}.ffn.${name}.bias`, source.take(`forward_layers.${i}.${conv}.bias`, d));
      }
    }
    const window = positions.shape[0] - 1;
    return { settings: { norm: 'query', embedding: 'scaled', d, ff: d, blocks, window }, tensors };
  },
};

/** a [n, d] · b [d, d]. */
function product(a: Float32Array, b: Float32Array, d: number): Float32Array {
  const out = new Float32Array(a.length);
  for (let r = 0; r < a.length / d; r++) {
    for (let c = 0; c < d; c++) {
      let sum = 0;
      for (let k = 0; k < d; k++) sum += a[r * d + k] * b[k * d + c];
      out[r * d + c] = sum;
    }
  }
  return out;
}
