/**
 * The mixture-of-logits head (`head=mol`; Zhai et al., KDD 2023; Ding & Zhai, 2024): component embeddings of a state and
 * of an item, both at length one, and the gates that weigh their cosines. What of a pair is computed stands in
 * engine/ops/mixture-of-logits.ts; here is what is computed of a state, and of an item.
 *
 *   f(u) = W_u h + b     [ku, P]      userGate(u) = silu(h W + b) W + b     [K]
 *   g(x) = W_x E[x] + b  [kx, P]      itemGate(x) = silu(E[x] W + b) W      [K]
 *
 * The authors' code combines the gates as silu(userGate · itemGate + crossGate), has dropout in π and on items, a loss that
 * balances the components, and embeddings of user IDs among the f; here gates are added up, as their paper has it.
 */
import {
  type Activation,
  blocksOf,
  type Mixture,
  matmul,
  mixtureBlocks,
  mixtureColumns,
  mixtureOfLogits,
  normalize,
  type ParameterArena,
  type Table,
  type Tensor,
} from '../../engine/index.ts';
import { temperatureOf, type TrainingSettings } from '../recipes/training-settings.ts';

/** Of the tile of columns whose items are put through the head at once, times K. */
const COLUMN_ELEMENTS = 2 ** 16;

type UserSide = Pick<Mixture, 'users' | 'userGate'>;
type ItemSide = Pick<Mixture, 'items' | 'itemGate'>;

export class MixtureHead {
  private readonly parameters: ParameterArena;
  private readonly settings: TrainingSettings;

  constructor(parameters: ParameterArena, settings: TrainingSettings) {
    this.parameters = parameters;
    this.settings = settings;
  }

  private p(name: string): Tensor {
    return this.parameters.get(`head.${name}`);
  }

  private linear(x: Tensor, name: string, activation: Activation = 'none'): Tensor {
    return matmul(x, this.p(`${name}.weight`), { bias: this.p(`${name}.bias`), activation });
  }

  /** Of states [L, D]. */
  private userSide(h: Tensor): UserSide {
    const { molUser, molWidth } = this.settings;
    const users = normalize(this.linear(h, 'user').reshape([h.shape[0], molUser, molWidth]));
    return { users, userGate: this.linear(this.linear(h, 'gate.user.up', 'silu'), 'gate.user.down') };
  }

  /** Of lists of items [G · N, D]. */
  private itemSide(e: Tensor, lists: number): ItemSide {
    const { molItem, molWidth } = this.settings;
    const n = e.shape[0] / lists;
    const items = normalize(this.linear(e, 'item').reshape([lists, n, molItem, molWidth]));
    const gate = matmul(this.linear(e, 'gate.item.up', 'silu'), this.p('gate.item.down.weight'));
    return { items, itemGate: gate.reshape([lists, n, gate.shape[1]]) };
  }

  private mixture(u: UserSide, x: ItemSide): Mixture {
    const [up, bias] = [this.p('gate.cross.up.weight'), this.p('gate.cross.up.bias')];
    return { ...u, ...x, up, bias, down: this.p('gate.cross.down.weight') };
  }

  private get scale(): number {
    return 1 / temperatureOf(this.settings);
  }

  /** How states [L, D] score lists of items [G · N, D], each list for L / G of them: [L, N]. */
  compare(states: Tensor): (e: Tensor, lists: number) => Tensor {
    const u = this.userSide(states);
    return (e, lists) => mixtureOfLogits(this.mixture(u, this.itemSide(e, lists)), { scale: this.scale });
  }

  /** Scores [R, to − from] of states [R, D] with the rows `from` (a multiple of 64) to `to` of the item table. No gradient. */
  scores(states: Tensor, table: Table, from: number, to: number): Tensor {
    const { device } = states;
    if (device.tape.enabled) throw new Error('scores: they have no gradient with head=mol; call them within noGrad()');
    const u = this.userSide(states);
    const scores = device.empty([states.shape[0], to - from], 'f32', 'scores');
    for (const { shard, at, first, rows } of blocksOf(table, this.columns)) {
      const [begin, end] = [Math.max(from, first), Math.min(to, first + rows)];
      if (begin >= end) continue;
      // A scope of its own, so that an eager run holds one tile's items, too.
      device.scope(() => {
        const x = this.itemSide(shard.rows(at + begin - first, at + end - first), 1);
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

/** What head=mol holds of a batch, in elements: names and sizes, to be compared with what an adapter binds. */
export function mixtureSizes(s: TrainingSettings, budget: number, lists: number): [string, number][] {
  const { negatives: n, molUser: ku, molItem: kx, molWidth: d, molGate: h } = s;
  const K = ku * kx;
  const blocks = mixtureBlocks({ l: budget, lists, n, ku, kx, d, h, K });
  const pairs = blocks.reduce((most, { r }) => Math.max(most, r * n), 0);
  const width = Math.max(K, h);
  return [
    ['their component embeddings (molItem · molWidth each)', lists * n * kx * d],
    ['their pairs with positions', pairs * width],
  ];
}
