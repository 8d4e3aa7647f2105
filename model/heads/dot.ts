/** The similarity of a state and an item: their dot product or cosine, over the temperature. */
import {
  matmul,
  normalize,
  normalizeTable,
  rowDot,
  scale,
  type Table,
  tableScores,
  type Tensor,
} from '../../engine/index.ts';
import { temperatureOf } from '../recipes/derived.ts';
import type { Settings } from '../recipes/settings.ts';
import type { Head, HeadKind, Vectors } from './head.ts';

class DotHead implements Head {
  readonly vectors: Vectors;
  private readonly cosine: boolean;

  constructor(s: Settings) {
    const t = temperatureOf(s);
    const cosine = s.similarity === 'cosine';
    this.cosine = cosine;
    this.vectors = {
      states(h) {
        const x = cosine ? normalize(h) : h;
        return t === 1 ? x : scale(x, 1 / t);
      },
      table: (table) => (cosine ? normalizeTable(table) : table),
    };
  }

  compare(states: Tensor): (items: Tensor, lists: number) => Tensor {
    const h = this.vectors.states(states);
    const [l, d] = h.shape;
    return (items, lists) => {
      const x = this.cosine ? normalize(items) : items;
      const n = x.shape[0] / lists;
      if (lists === l && n === 1) return rowDot(h, x).reshape([l, 1]);
      return matmul(h.reshape([lists, l / lists, d]), x.reshape([lists, n, d]), { transB: true }).reshape([l, n]);
    };
  }

  scores(states: Tensor, table: Table, from: number, to: number): Tensor {
    return tableScores(this.vectors.states(states), this.vectors.table(table), from, to);
  }
}

export const dot: HeadKind = {
  help: 'by their similarity',
  create: (_, s) => new DotHead(s),
};
