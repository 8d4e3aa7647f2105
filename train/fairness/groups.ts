/** Users and items in groups: by a column of the users, the length of the history, an attribute, or popularity. */
import { InputError } from '../../data/errors.ts';
import type { ValuesOf } from '../../data/features/attribute-shares.ts';
import { cellFormatOf, numberIn, valuesOf } from '../../data/features/values.ts';
import { ownValue } from '../../data/own-value.ts';
import type { Split } from '../../data/splits/split.ts';
import { ITEM_GROUPS, LENGTH_SLICES, lengthSlice, type TrainingFacts } from '../evaluation/collector.ts';

/** Where a value is not known. */
export const MISSING = '(missing)';
/** Values beyond the most frequent ones. */
const OTHER = '(other)';
/** Distinct numbers that are groups by themselves; more are cut into ranges. */
const MOST_NUMBERS = 10;
const RANGES = 5;
/** Groups of users, and of items, at most. */
export const MOST_USER_GROUPS = 50;
const MOST_ITEM_GROUPS = 20;

export interface UserGroups {
  name: string;
  values: readonly string[];
  /** [users of the dataset] index of each user's value */
  of: Uint32Array;
  /** How the values were made of the column's; null where they are the column's own. */
  note: string | null;
}

export interface ItemGroups extends Omit<UserGroups, 'of'> {
  /** [V] indices of each item's values, between which it is divided equally; at least one */
  of: readonly (readonly number[])[];
  /** All values of an attribute whose mix can be compared with a history's; null for numbers and popularity */
  valuesOf: ValuesOf | null;
}

/**
 * The users of a dataset by the cells of a column. Numbers with more than 10 distinct values are cut into 5 ranges of about
 * as many users each.
 * @throws InputError where there are too many values to compare
 */
export function groupsByColumn(name: string, cells: readonly (string | undefined)[]): UserGroups {
  const texts = cells.map((cell) => cell?.trim() ?? '');
  const { labels, note } = labelsOf(name, texts, 'users');
  const values = inOrder(labels);
  if (values.length > MOST_USER_GROUPS)
    throw new InputError(
      'too-large',
      `${name} has ${values.length} values, too many groups of users to compare (${MOST_USER_GROUPS} at most)`,
    );
  return { name, values, of: indicesOf(labels, values), note };
}

/** The users of a dataset by the number of events that are known when a part's targets are predicted. */
export function groupsByHistory(split: Split, part: 'valid' | 'test'): UserGroups {
  const labels = Array.from({ length: split.users }, (_, u) => lengthSlice(split.history(u, part).length));
  return { name: 'history', values: LENGTH_SLICES, of: indicesOf(labels, LENGTH_SLICES), note: null };
}

/** Items by popularity in training: head, torso, tail and cold (collector.ts). */
export function groupsByPopularity({ groups }: Pick<TrainingFacts, 'groups'>): ItemGroups {
  const of = groups.map((group) => [ITEM_GROUPS.indexOf(group)]);
  return { name: 'popularity', values: ITEM_GROUPS, of, note: null, valuesOf: null };
}

/**
 * Items by an attribute, whose cells may hold several values. Numbers are cut as for users; of more than 20 values those
 * with the most training events are kept.
 * @param counts [V] training events
 */
export function groupsByAttribute(
  name: string,
  items: readonly { attributes: Readonly<Record<string, string>> }[],
  counts: ArrayLike<number>,
): ItemGroups {
  const cells = items.map(({ attributes }) => ownValue(attributes, name)?.trim() ?? '');
  const format = cellFormatOf([...new Set(cells.filter((cell) => cell !== ''))]);
  if (format.numeric) {
    const { labels, note } = labelsOf(name, cells, 'items');
    const values = inOrder(labels);
    return { name, values, of: Array.from(indicesOf(labels, values), (i) => [i]), note, valuesOf: null };
  }
  const known = cells.map((cell) => valuesOf(cell, format));
  const lists = known.map((own) => (own.length > 0 ? own : [MISSING]));
  const events = new Map<string, number>();
  lists.forEach((list, row) => {
    for (const value of list) events.set(value, (events.get(value) ?? 0) + counts[row] / list.length);
  });
  const order = Array.from(events.keys()).sort((a, b) => (events.get(b) ?? 0) - (events.get(a) ?? 0));
  const many = order.length > MOST_ITEM_GROUPS;
  const kept = order.slice(0, many ? MOST_ITEM_GROUPS - 1 : MOST_ITEM_GROUPS);
  const values = many ? [...kept, OTHER] : kept;
  const at = new Map(order.map((value, i) => [value, Math.min(i, values.length - 1)]));
  const note = many
    ? `${name} has ${order.length} values: the ${kept.length} with the most events, and ${OTHER}`
    : null;
  const of = lists.map((list) => list.map((value) => at.get(value) as number));
  return { name, values, of, note, valuesOf: (row) => known[row] };
}

/** A label for each cell. @param of what has the cells, for the note */
function labelsOf(name: string, cells: readonly string[], of: string): { labels: string[]; note: string | null } {
  const known = cells.filter((cell) => cell !== '');
  const { numeric, decimal } = cellFormatOf([...new Set(known)]);
  const numbers = numeric ? known.map((cell) => numberIn(cell, decimal)).sort((a, b) => a - b) : [];
  const distinct = new Set(numbers).size;
  if (distinct <= MOST_NUMBERS) return { labels: cells.map((cell) => cell || MISSING), note: null };
  const ranges = rangesOf(numbers);
  const labels = cells.map((cell) => {
    if (cell === '') return MISSING;
    const number = numberIn(cell, decimal);
    const { low, high } = ranges.findLast((range) => range.low <= number) as Range;
    return low === high ? `${low}` : `${low} to ${high}`;
  });
  return {
    labels,
    note: `${name} has ${distinct} numbers: cut into ${ranges.length} ranges of about as many ${of} each`,
  };
}

interface Range {
  low: number;
  high: number;
}

/** About as many of the sorted numbers in each; equal ones stay together. */
function rangesOf(numbers: readonly number[]): Range[] {
  const ranges: Range[] = [];
  for (let from = 0; from < numbers.length; ) {
    const wanted = Math.ceil((numbers.length - from) / Math.max(1, RANGES - ranges.length));
    const high = numbers[from + wanted - 1];
    ranges.push({ low: numbers[from], high });
    while (numbers[from] <= high) from++;
  }
  return ranges;
}

/** Distinct labels: numbers by size, then texts by the alphabet, and what is missing. */
function inOrder(labels: readonly string[]): string[] {
  const rank = (label: string): number => (label === MISSING ? 1 : 0);
  return [...new Set(labels)].sort(
    (a, b) => rank(a) - rank(b) || Number.parseFloat(a) - Number.parseFloat(b) || (a < b ? -1 : 1),
  );
}

function indicesOf(labels: readonly string[], values: readonly string[]): Uint32Array {
  const at = new Map(values.map((value, i) => [value, i]));
  return Uint32Array.from(labels, (label) => at.get(label) as number);
}
