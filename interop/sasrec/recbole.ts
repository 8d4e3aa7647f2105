/**
 * SASRec of RecBole: x = LN(E + P), then blocks with layer normalization after each part (norm=post), and no norm at the end.
 * Row 0 of the items is padding, histories begin at position 0.
 */
import type { StoredTensor } from '../../model/storage/safetensors.ts';
import { beside, endToEnd, LARGER, type Layout, linearWeight, withoutPadding } from './layout.ts';

export const recbole: Layout = {
  name: 'RecBole',
  mark: 'trm_encoder.layer.0.multi_head_attention.query.weight',
  defaults: { heads: '2', activation: 'gelu' },
  notes: ['gelu is computed by tanh here, by erf there: their scores differ by about a thousandth'],
  convert(source) {
    const items = source.take('item_embedding.weight', null, null);
    const d = items.shape[1];
    const positions = source.take('position_embedding.weight', null, d);
    const blocks = source.count('trm_encoder.layer');
    const tensors = new Map<string, StoredTensor>();
    const norm = (to: string, from: string): void => {
      for (const part of ['weight', 'bias']) tensors.set(`${to}.${part}`, source.take(`${from}.${part}`, d));
    };
    tensors.set('items.weight', withoutPadding(items, LARGER));
    tensors.set('positions.weight', { ...positions, data: positions.data.map((x) => x * LARGER) });
    norm('norm', 'LayerNorm');
    let ff = 0;
    for (let i = 0; i < blocks; i++) {
      const [to, from] = [`blocks.${i}`, `trm_encoder.layer.${i}`];
      const attention = `${from}.multi_head_attention`;
      const parts = ['query', 'key', 'value'].map((name) => `${attention}.${name}`);
      tensors.set(
        `${to}.attention.qkv.weight`,
        beside(...parts.map((name) => linearWeight(source.take(`${name}.weight`, d, d)))),
      );
      tensors.set(`${to}.attention.qkv.bias`, endToEnd(...parts.map((name) => source.take(`${name}.bias`, d).data)));
      const linear = (name: string, other: string, out: number | null, inner: number): number => {
        const weight = source.take(`${other}.weight`, out, inner);
        tensors.set(`${to}.${name}.weight`, linearWeight(weight));
        tensors.set(`${to}.${name}.bias`, source.take(`${other}.bias`, weight.shape[0]));
        return weight.shape[0];
      };
      linear('attention.out', `${attention}.dense`, d, d);
      norm(`${to}.norm1`, `${attention}.LayerNorm`);
      ff = linear('ffn.up', `${from}.feed_forward.dense_1`, i === 0 ? null : ff, d);
      linear('ffn.down', `${from}.feed_forward.dense_2`, d, ff);
      norm(`${to}.norm2`, `${from}.feed_forward.LayerNorm`);
    }
    return { settings: { norm: 'post', d, ff, blocks, window: positions.shape[0] }, tensors };
  },
};
