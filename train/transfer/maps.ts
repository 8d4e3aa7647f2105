/** The ways to find item rows in another model, by name, and what a training takes over by one of them. */
import { InputError } from '../../data/errors.ts';
import type { LoadedModel } from '../../model/storage/load-model.ts';
import type { InitRecord } from '../../model/storage/config.ts';
import { byAttributes } from './attributes.ts';
import { byIds } from './ids.ts';
import type { FindRows, RowMap } from './row-map.ts';
import { byVectors } from './vectors.ts';

export const MAPS: Readonly<Record<string, RowMap>> = { ids: byIds, attributes: byAttributes, vectors: byVectors };

/** What a training takes over from another model (train/stages/transfer.ts). */
export interface Transfer {
  loaded: LoadedModel;
  findRows: FindRows;
  /** Whether the map reads what the other model's item tower makes of new items. */
  readsTower: boolean;
  /** Parameters whose values are the other model's. */
  carried: readonly string[];
  /** As config.json will have it, but for what is not known yet. */
  record: Omit<InitRecord, 'rows' | 'explained'>;
}

/** `ids:title` is the map `ids` by the column `title`. @throws InputError for a name that is not in the table */
export function parseMap(text: string): { name: string; map: RowMap; column: string | null } {
  const at = text.indexOf(':');
  const [name, column] = at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + 1)];
  const refuse = (reason: string): InputError =>
    new InputError('invalid-value', reason, { setting: 'map', value: text });
  if (!Object.hasOwn(MAPS, name)) throw refuse(`unknown map; there is ${Object.keys(MAPS).join(', ')}`);
  const map = MAPS[name];
  if (column !== null && !map.takesColumn) throw refuse(`${name} takes no column`);
  if (column === '') throw refuse('expected a column after the colon, as ids:title');
  return { name, map, column };
}
