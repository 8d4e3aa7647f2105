/** The domains of a log's items (shops, kinds of media): users may be in several, an item is in one. */
import { inMemory } from '../data/column.ts';
import type { Dataset } from '../data/dataset.ts';
import { InputError } from '../data/errors.ts';
import { ownValue } from '../data/own-value.ts';
import type { Item } from '../model/storage/config.ts';
import { count, type Notes } from './side-features.ts';

/**
 * The items with their domain as an attribute: as the items file has it, or as the log has it of most of an item's events.
 * @throws InputError where neither knows the column
 */
export function withDomains(items: readonly Item[], dataset: Dataset, column: string, name: string, to: Notes): Item[] {
  const given = items.some(({ attributes }) => ownValue(attributes, column) !== undefined);
  const context = dataset.context?.find((one) => one.name === column);
  if (!given && !context)
    throw new InputError('missing-column', `${name}: no column ${JSON.stringify(column)}, nor do items have one`, {
      setting: 'domainColumn',
      value: column,
      hint: 'name a column of the log or of the items, or give several logs, whose names count then',
    });
  const described = given || !context ? [...items] : byEvents(items, dataset, context, to);
  const domains = new Map<string, number>();
  for (const { attributes } of described) {
    const domain = ownValue(attributes, column) ?? '';
    domains.set(domain, (domains.get(domain) ?? 0) + 1);
  }
  const sizes = [...domains].map(([domain, n]) => `${domain || '(none)'} with ${count(n)} items`);
  const line = `${name}: domains by ${column}: ${sizes.join(', ')}`;
  if (domains.size > 1) to.notes.push(line);
  else to.warnings.push(`${line}: one alone`);
  return described;
}

function byEvents(
  items: readonly Item[],
  dataset: Dataset,
  { name, values, rows }: NonNullable<Dataset['context']>[number],
  { notes }: Notes,
): Item[] {
  const counts = items.map(() => new Map<number, number>());
  const [own, of] = [inMemory(dataset.items), inMemory(rows)];
  own.forEach((item, i) => counts[item].set(of[i], (counts[item].get(of[i]) ?? 0) + 1));
  const shared = counts.filter(({ size }) => size > 1).length;
  if (shared > 0)
    notes.push(`${count(shared)} items are in several domains, and count in that of most of their events`);
  return items.map((item, row) => {
    const [first] = [...counts[row]].sort(([a, n], [b, m]) => m - n || a - b);
    return { ...item, attributes: { ...item.attributes, [name]: first ? values[first[0]] : '' } };
  });
}
