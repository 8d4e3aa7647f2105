/** Values of attributes that hold several: `Comedy|Drama`, `Comedy, Drama`, and as RecBole has them `Comedy Drama`. */

type Attributes = Readonly<Record<string, string>>;

const SEPARATOR = /\s*[|,;]\s*/;

/** The values that an attribute's text holds; `spaced` where spaces divide them, too (see {@link spacedColumns}). */
export function valuesOf(text: string | undefined, spaced: boolean): string[] {
  if (!text) return [];
  const values = text.split(SEPARATOR);
  return (spaced ? values.flatMap((value) => value.split(/\s+/)) : values).filter((value) => value !== '');
}

/** Names of all attributes, in order of appearance. */
export function columnNames(items: readonly { attributes: Attributes }[]): string[] {
  const names = new Set<string>();
  for (const { attributes } of items) for (const name of Object.keys(attributes)) names.add(name);
  return [...names];
}

/**
 * Attributes whose values are divided by spaces, as RecBole's lists are: those where that leaves at most half as many
 * different values (genres), so that `light blue` stays one colour.
 */
export function spacedColumns(items: readonly { attributes: Attributes }[]): Set<string> {
  const values = new Map<string, Set<string>>();
  for (const { attributes } of items) {
    for (const [name, text] of Object.entries(attributes)) {
      const own = values.get(name) ?? new Set();
      values.set(name, own);
      for (const value of valuesOf(text, false)) own.add(value);
    }
  }
  const spaced = new Set<string>();
  for (const [name, own] of values) {
    const words = new Set([...own].flatMap((value) => value.split(/\s+/)));
    if (words.size <= own.size / 2) spaced.add(name);
  }
  return spaced;
}
