/** The groups that `evaluate --groups` compares: columns of the users file, attributes of the items, and two of their own. */
import { InputError } from '../../data/errors.ts';
import { columnNames } from '../../data/features/values.ts';
import { ownValue } from '../../data/own-value.ts';
import type { Split } from '../../data/splits/split.ts';
import type { Item } from '../../model/storage/config.ts';
import type { TrainingFacts } from '../../train/evaluation/collector.ts';
import {
  groupsByAttribute,
  groupsByColumn,
  groupsByHistory,
  groupsByPopularity,
  type ItemGroups,
  type UserGroups,
} from '../../train/fairness/groups.ts';
import { UsageError } from '../errors.ts';
import { openUsers } from './side-features.ts';

export interface Groups {
  users: UserGroups[];
  items: ItemGroups[];
}

/** Names of --groups. @throws UsageError */
export function groupNames(groups: string): string[] {
  const names = groups.split(',').map((name) => name.trim());
  if (names.some((name) => name === '')) {
    throw new UsageError('--groups: expected names with commas between them, as in gender,age,history');
  }
  return [...new Set(names)];
}

/**
 * `history` and `popularity`, columns of the users, attributes of the items; a name that is both of the latter is both.
 * @param names found without regard to case
 * @throws InputError for a name that is none of them, with what there is
 */
export async function openGroups(
  names: readonly string[],
  usersFile: string | undefined,
  items: readonly Item[],
  split: Split,
  part: 'valid' | 'test',
  facts: TrainingFacts,
): Promise<Groups> {
  const rows = usersFile === undefined ? null : await openUsers(usersFile);
  const columns = columnNames(Array.from(rows?.values() ?? [], (attributes) => ({ attributes })));
  const attributes = columnNames(items);
  const groups: Groups = { users: [], items: [] };
  for (const asked of names) {
    if (asked === 'history') groups.users.push(groupsByHistory(split, part));
    else if (asked === 'popularity') groups.items.push(groupsByPopularity(facts));
    else {
      const find = (own: readonly string[]) => own.find((name) => name.toLowerCase() === asked.toLowerCase());
      const [column, attribute] = [find(columns), find(attributes)];
      if (column !== undefined) {
        const cells = split.dataset.userIds.map((id) => ownValue(rows?.get(id), column));
        groups.users.push(groupsByColumn(column, cells));
      }
      if (attribute !== undefined) groups.items.push(groupsByAttribute(attribute, items, facts.counts));
      if (column === undefined && attribute === undefined) {
        const there = [...columns, ...attributes, 'history', 'popularity'].join(', ');
        throw new InputError(
          'missing-column',
          `--groups ${asked}: no user and no item has such a column; there is ${there}`,
          {
            ...(usersFile === undefined && { hint: 'columns of users come from --users PATH' }),
          },
        );
      }
    }
  }
  return groups;
}
