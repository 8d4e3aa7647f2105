/**
 * How cells of attributes are parsed: as a number (`12.5`, `$1,299.00`, `€ 1.299,00`) or as one or several values
 * (`Comedy|Drama`, `Comedy, Drama`, and RecBole's `Comedy Drama`). All cells of a column together decide which, and what
 * the decimal separator is; schema, filters, caps, item tower and ranker parse cells accordingly.
 */

type Attributes = Readonly<Record<string, string>>;

/** The decimal separator; the other mark may separate thousands. */
export type Decimal = '.' | ',';

export interface CellFormat {
  /** Whether all cells of the column are numbers. */
  numeric: boolean;
  decimal: Decimal;
  /** Whether spaces separate values, as in RecBole's lists. */
  spaced: boolean;
}

/** The format of an unknown column. */
export const PLAIN: CellFormat = { numeric: false, decimal: '.', spaced: false };

/** An amount of money or a long number: sign and currency on either side, separators between groups of three digits. */
const amount = (decimal: string, group: string): RegExp =>
  new RegExp(
    `^([-+\u2212]?)\\s?(\\p{Sc}?)\\s?([-\u2212]?)([1-9]\\d{0,2}(?:(${group})\\d{3}(?:\\5\\d{3})*)|\\d*)((?:${decimal}\\d+)?)\\s?(\\p{Sc}?)$`,
    'u',
  );
const GROUPS = "'\u2019\u00a0\u202f";
const AMOUNT: Readonly<Record<Decimal, RegExp>> = {
  '.': amount('\\.', `[,${GROUPS}]`),
  ',': amount(',', `[.${GROUPS}]`),
};
const WITH_COMMA = /^[-+]?\d*,?\d+(?:[eE][-+]?\d+)?$/;

/** The number that a cell holds; NaN where it holds anything else. */
export function numberIn(cell: string, decimal: Decimal): number {
  const text = cell.trim();
  if (text === '') return Number.NaN;
  const plain = decimal === '.' ? Number(text) : WITH_COMMA.test(text) ? Number(text.replace(',', '.')) : Number.NaN;
  if (!Number.isNaN(plain)) return plain;
  const [, sign, before, inner, whole, , fraction = '', after] = AMOUNT[decimal].exec(text) ?? [];
  if (whole === undefined || whole + fraction === '' || (before && after) || (sign && inner)) return Number.NaN;
  const size = Number(`${whole.replace(/\D/g, '')}${fraction.replace(',', '.')}`);
  return sign === '-' || sign === '\u2212' || inner ? -size : size;
}

/** A number in the notation that {@link numberIn} reads. */
export const numberText = (value: number, decimal: Decimal): string => String(value).replace('.', decimal);

/** The decimal separator of a column: the comma only if that makes more of its cells numbers than the point does. */
export function decimalOf(cells: readonly string[]): Decimal {
  const numbers = (decimal: Decimal): number =>
    cells.reduce((n, cell) => n + Number(Number.isFinite(numberIn(cell, decimal))), 0);
  const points = numbers('.');
  return points < cells.length && numbers(',') > points ? ',' : '.';
}

/** Whether all cells are numbers. */
export const areNumbers = (cells: readonly string[], decimal: Decimal): boolean =>
  cells.length > 0 && cells.every((cell) => Number.isFinite(numberIn(cell, decimal)));

/** Separators of the values of a list; spaces only if {@link CellFormat.spaced}. */
export const SEPARATORS = '|,;';

/** Values of a cell between separators; {@link SEPARATORS} stands for any of the three. Brackets around all are dropped. */
export function splitCell(text: string, separator: string): string[] {
  const inner = text.trim().replace(/^[[(](.*)[\])]$/s, '$1');
  const by = separator === ' ' ? /\s+/ : separator === SEPARATORS ? /[|,;]/ : separator;
  return inner
    .split(by)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** The values that a cell holds; of a number it alone, written as `String` does. */
export function valuesOf(text: string | undefined, { numeric, decimal, spaced }: CellFormat): string[] {
  if (text === undefined || text.trim() === '') return [];
  if (numeric) {
    const number = numberIn(text, decimal);
    return [Number.isNaN(number) ? text.trim() : String(number)];
  }
  return splitCell(text, spaced ? ' ' : SEPARATORS);
}

/** Names of all attributes, in order of appearance. */
export function columnNames(items: readonly { attributes: Attributes }[]): string[] {
  const names = new Set<string>();
  for (const { attributes } of items) for (const name of Object.keys(attributes)) names.add(name);
  return [...names];
}

/** The format of each attribute of a catalog, by name. */
export function cellFormats(items: readonly { attributes: Attributes }[]): Map<string, CellFormat> {
  const columns = new Map<string, Set<string>>();
  for (const { attributes } of items) {
    for (const [name, text] of Object.entries(attributes)) {
      const cells = columns.get(name) ?? new Set();
      columns.set(name, cells);
      if (text.trim() !== '') cells.add(text.trim());
    }
  }
  return new Map([...columns].map(([name, cells]) => [name, cellFormatOf([...cells])]));
}

/** The format of a column with these cells. */
export function cellFormatOf(cells: readonly string[]): CellFormat {
  // Only `|` separates several numbers in one cell: the other separators occur in numbers.
  const decimal = decimalOf(cells.flatMap((cell) => cell.split('|')));
  const numeric = areNumbers(cells, decimal);
  return { numeric, decimal, spaced: !numeric && areSpaced(cells) };
}

/**
 * Whether spaces separate the values of a column: if no other separator occurs and splitting leaves at most half as many
 * distinct values (genres), so that `light blue` remains one color.
 */
export function areSpaced(cells: readonly string[]): boolean {
  if (cells.some((cell) => /[|,;]/.test(cell))) return false;
  const values = new Set(cells);
  const words = new Set(cells.flatMap((cell) => splitCell(cell, ' ')));
  return values.size > 0 && words.size <= values.size / 2;
}
