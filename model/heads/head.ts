/** A head says how a state and an item compare, in training and in scoring. */
import type { Table, Tensor } from '../../engine/index.ts';
import type { ParameterBuilder } from '../nn/index.ts';
import type { Kind } from '../recipes/setting.ts';
import type { Settings } from '../recipes/settings.ts';

/** States and items as vectors whose products are the scores. */
export interface Vectors {
  /** [R, D] → [R, D] */
  states(states: Tensor): Tensor;
  table(table: Table): Table;
}

export interface Head {
  /** null where scores are not products of vectors. */
  readonly vectors: Vectors | null;
  /** How states [L, D] score lists of items [G · N, D], each list for L / G of them: [L, N]. */
  compare(states: Tensor): (items: Tensor, lists: number) => Tensor;
  /** Scores [R, to − from] of states [R, D] with the rows `from` (a multiple of 64) to `to` of the item table. No gradient. */
  scores(states: Tensor, table: Table, from: number, to: number): Tensor;
}

/** A kind of head: `head=NAME` of the settings. */
export interface HeadKind extends Kind<Settings> {
  /** @param p its parameters, named `head.…` */
  create(p: ParameterBuilder, s: Settings): Head;
  /** What a batch of sampled negatives holds besides, in elements: names and sizes, compared with what an adapter binds. */
  sizes?(s: Settings, tokens: number, lists: number): [string, number][];
}
