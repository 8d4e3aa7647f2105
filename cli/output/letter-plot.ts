/** Several series as one plot of text: each series is a letter, and a star is where several meet. */

const HEIGHT = 10;
/** Columns of a point. */
const WIDTH = 4;

/**
 * @param series name → a value for each point, null where there is none; the first letters of the names must differ
 * @param labels of the points; the first and the last are written
 * @returns empty for fewer than two points
 */
export function letterPlot(
  series: Readonly<Record<string, readonly (number | null)[]>>,
  labels: readonly string[],
): string {
  const values = Object.values(series).flatMap((points) => points.filter((value) => value !== null));
  if (labels.length < 2 || values.length === 0) return '';
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  const rows = Array.from({ length: HEIGHT }, () => new Array<string>(labels.length * WIDTH).fill(' '));
  for (const [name, points] of Object.entries(series)) {
    for (const [i, value] of points.entries()) {
      if (value === null) continue;
      const row = rows[Math.round(((high - value) / (high - low || 1)) * (HEIGHT - 1))];
      const at = i * WIDTH + 1;
      row[at] = row[at] === ' ' ? name[0] : '*';
    }
  }
  const level = (row: number): string => (high - ((high - low) * row) / (HEIGHT - 1)).toFixed(4);
  const lines = rows.map((row, i) => `${level(i)} ┤${row.join('')}`.trimEnd());
  const [first, last] = [labels[0], labels[labels.length - 1]];
  const width = labels.length * WIDTH;
  const axis = width > first.length + last.length ? first + last.padStart(width - first.length) : `${first} to ${last}`;
  const legend = Object.keys(series).map((name) => `${name[0]} ${name}`);
  return [...lines, `${' '.repeat(8)}${axis}`, `${' '.repeat(8)}${legend.join(', ')}; * several`].join('\n');
}
