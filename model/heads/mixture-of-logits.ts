/**
 * The mixture-of-logits head (`head=mol`; Zhai et al., KDD 2023; Ding & Zhai, 2024): component embeddings of a state and
 * of an item, both of length one, and the gates that weight their cosines. What is computed of a pair is in
 * engine/ops/mixture-of-logits.ts; here is what is computed of a state, and of an item.
 *
 *   f(u) = W_u h + b     [ku, P]      userGate(u) = silu(h W + b) W + b     [K]
 *   g(x) = W_x E[x] + b  [kx, P]      itemGate(x) = silu(E[x] W + b) W      [K]
 *
 * The authors' code combines the gates as silu(userGate · itemGate + crossGate), has dropout in π and on items, a loss that
 * balances the components, and embeddings of user IDs among the f; here gates are added up, as in their paper.
 */
import {
  type Mixture,
  mixtureBlocks,
  mixtureColumns,
  mixtureOfLogits,
  normalize,
  rowRanges,
  type Table,
  tableRows,
  type Tensor,
} from '../../engine/index.ts';
import { Linear, type ParameterBuilder } from '../nn/index.ts';
import { option } from '../../data/errors.ts';
import { temperatureOf } from '../recipes/derived.ts';
import { integer } from '../recipes/setting.ts';
import type { Settings } from '../recipes/settings.ts';
import type { Head, HeadKind } from './head.ts';
import { LOSSES } from './losses/index.ts';

/** Elements of the tile of columns whose items go through the head at once, times K. */
const COLUMN_ELEMENTS = 2 ** 16;

type UserSide = Pick<Mixture, 'users' | 'userGate'>;
type ItemSide = Pick<Mixture, 'items' | 'itemGate'>;

/** down(silu(up(x))) */
class Gate {
  readonly up: Linear;
  readonly down: Linear;

  constructor(p: ParameterBuilder, inputs: number, hidden: number, outputs: number, bias: 0 | false) {
    this.up = new Linear(p.at('up'), inputs, hidden);
    this.down = new Linear(p.at('down'), hidden, outputs, { bias });
  }

  forward(x: Tensor): Tensor {
    return this.down.forward(this.up.forward(x, { activation: 'silu' }));
  }
}

class MixtureHead implements Head {
  readonly vectors = null;
  private readonly settings: Settings;
  private readonly user: Linear;
  private readonly item: Linear;
  private readonly userGate: Gate;
  private readonly itemGate: Gate;
  /** Reads the cosines; applied by the op. */
  private readonly crossGate: Gate;

  constructor(p: ParameterBuilder, s: Settings) {
    const { d, molUser, molItem, molWidth, molGate } = s;
    const components = molUser * molItem;
    this.settings = s;
    this.user = new Linear(p.at('user'), d, molUser * molWidth);
    this.item = new Linear(p.at('item'), d, molItem * molWidth);
    this.userGate = new Gate(p.at('gate.user'), d, d, components, 0);
    this.itemGate = new Gate(p.at('gate.item'), d, d, components, false);
    this.crossGate = new Gate(p.at('gate.cross'), components, molGate, components, false);
  }

  /** Of states [L, D]. */
  private userSide(h: Tensor): UserSide {
    const { molUser, molWidth } = this.settings;
    const users = normalize(this.user.forward(h).reshape([h.shape[0], molUser, molWidth]));
    return { users, userGate: this.userGate.forward(h) };
  }

  /** Of lists of items [G · N, D]. */
  private itemSide(e: Tensor, lists: number): ItemSide {
    const { molItem, molWidth } = this.settings;
    const n = e.shape[0] / lists;
    const items = normalize(this.item.forward(e).reshape([lists, n, molItem, molWidth]));
    const gate = this.itemGate.forward(e);
    return { items, itemGate: gate.reshape([lists, n, gate.shape[1]]) };
  }

  private mixture(u: UserSide, x: ItemSide): Mixture {
    const { up, down } = this.crossGate;
    return { ...u, ...x, up: up.weight.tensor, bias: up.bias?.tensor as Tensor, down: down.weight.tensor };
  }

  private get scale(): number {
    return 1 / temperatureOf(this.settings);
  }

  compare(states: Tensor): (items: Tensor, lists: number) => Tensor {
    const u = this.userSide(states);
    return (items, lists) => mixtureOfLogits(this.mixture(u, this.itemSide(items, lists)), { scale: this.scale });
  }

  scores(states: Tensor, table: Table, from: number, to: number): Tensor {
    const { device } = states;
    if (device.tape.enabled) throw new Error('scores: head=mol has no gradient of them; call within noGrad()');
    const u = this.userSide(states);
    const scores = device.empty([states.shape[0], to - from], 'f32', 'scores');
    for (const { first, rows } of rowRanges(table, this.columns)) {
      const [begin, end] = [Math.max(from, first), Math.min(to, first + rows)];
      if (begin >= end) continue;
      // A scope of its own, so that an eager run holds one tile's items, too.
      device.scope(() => {
        const x = this.itemSide(tableRows(table, begin, end), 1);
        mixtureColumns(this.mixture(u, x), { scale: this.scale }, scores, begin - from);
      });
    }
    return scores;
  }

  private get columns(): number {
    const { molUser, molItem } = this.settings;
    return Math.max(64, Math.floor(COLUMN_ELEMENTS / (molUser * molItem) / 64) * 64);
  }
}

const settings = {
  molUser: integer(4, 1, 64, 'mol: component embeddings of a state'),
  molItem: integer(4, 1, 64, 'mol: component embeddings of an item; a multiple of 4, molUser · molItem at most 64'),
  molWidth: integer(32, 1, 1024, 'mol: their width; a multiple of 4'),
  molGate: integer(16, 1, 64, 'mol: hidden width of the gate that reads the cosines; a multiple of 4'),
};

export const mol: HeadKind & { settings: typeof settings } = {
  help: 'mixture of logits: the cosines of several components, weighted by gates that see state, item and cosines',
  settings,
  requires: { similarity: 'cosine' },
  check(s, fail) {
    for (const key of ['molItem', 'molWidth', 'molGate'] as const)
      if (s[key] % 4 !== 0) fail(key, 'expected a multiple of 4');
    if (s.molUser * s.molItem > 64) fail('molUser', `molUser · molItem = ${s.molUser * s.molItem}, at most 64`);
    if (!LOSSES[s.loss].sampled)
      fail('head', `requires a loss over samples, such as ${option('settings.loss', 'sampled-softmax')}`);
  },
  create: (p, s) => new MixtureHead(p, s),
  sizes(s, tokens, lists) {
    const { negatives: n, molUser: ku, molItem: kx, molWidth: d, molGate: h } = s;
    const K = ku * kx;
    const blocks = mixtureBlocks({ l: tokens, lists, n, ku, kx, d, h, K });
    const pairs = blocks.reduce((most, { r }) => Math.max(most, r * n), 0);
    return [
      ['their component embeddings (molItem · molWidth each)', lists * n * kx * d],
      ['their pairs with positions', pairs * Math.max(K, h)],
    ];
  },
};
