/** A map of attention as a picture: one self-contained SVG, events by their titles, no scripts and no fonts of its own. */
import { InputError } from '../../data/errors.ts';
import type { AttentionMaps } from '../../model/inference/attention-maps.ts';

export interface HeatmapOptions {
  /** From 1; without it the roll-out of all blocks. */
  block?: number;
  /** From 1; without it the mean of the block's heads, as shares. */
  head?: number;
  /** Latest tokens that are shown; 40 by default. */
  most?: number;
}

const CELL = 16;
/** Letters of a title that are shown; the tooltip has all of it. */
const LETTERS = 30;
const LABEL = 216;
const INK = '#1d2733';

/**
 * Row: the event that looks; column: the event it looks at; darker: more. Negative weights (HSTU) are red.
 *
 * @param titles of the events that the model read, oldest first
 * @throws InputError when the model has no such block or head
 */
export function attentionHeatmap(
  maps: AttentionMaps,
  titles: readonly string[],
  { block, head, most = 40 }: HeatmapOptions = {},
): string {
  check('block', block, maps.blocks);
  check('head', head, maps.heads);
  if (head !== undefined && block === undefined)
    throw new InputError('conflicting-settings', 'head: say of which block, too');
  const first = Math.max(0, maps.tokens - most);
  const n = maps.tokens - first;
  const row = (i: number): Float64Array => {
    if (block === undefined) return maps.rollout(i);
    return head === undefined ? maps.mean(block - 1, i) : maps.row(block - 1, head - 1, i);
  };
  const values = Array.from({ length: n }, (_, r) => row(first + r).subarray(first));
  const peak = values.reduce((top, of) => of.reduce((m, w) => Math.max(m, Math.abs(w)), top), 0) || 1;
  const names = Array.from({ length: n }, (_, i) => titles[first + i] ?? '(what comes next)');
  const shown = names.map((name, i) => `${first + i + 1} ${shorten(name)}`);
  const weight = (w: number): string =>
    maps.pointwise && head !== undefined ? w.toPrecision(3) : `${(100 * w).toFixed(1)} %`;

  const cells = values.flatMap((of, r) =>
    Array.from(of, (w, c) => {
      if (Math.abs(w) < peak / 500) return '';
      const tip = `${first + r + 1} ${names[r]} looks at ${first + c + 1} ${names[c]}: ${weight(w)}`;
      return `<rect x="${c * CELL}" y="${r * CELL}" width="${CELL}" height="${CELL}" fill="${color(w / peak)}"><title>${xml(tip)}</title></rect>`;
    }),
  );
  const rows = shown.map((name, r) => text(-6, r * CELL + 12, name, 'end', names[r]));
  const columns = shown.map(
    (name, c) => `<g transform="translate(${c * CELL + 12},-6) rotate(-90)">${text(0, 0, name, 'start', names[c])}</g>`,
  );
  const what = block === undefined ? 'Roll-out of attention' : `Attention of block ${block}`;
  const which = block === undefined ? '' : head === undefined ? ', mean of its heads' : `, head ${head}`;
  const cut = first > 0 ? `the last ${n} of ${maps.tokens} events` : `${n} events`;
  const lines = [
    `${what}${which}`,
    `${cut}, oldest first · row: looks, column: is looked at · darkest: ${weight(peak)}`,
    ...(maps.pointwise ? [POINTWISE] : []),
  ];
  const side = n * CELL;
  const [left, top] = [LABEL + 12, LABEL + 20 + 18 * lines.length];
  const width = Math.max(left + side + 24, 640);
  const height = top + side + 24;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="11" fill="${INK}">`,
    `<title>${xml(lines[0])}</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...lines.map((line, i) => `<text x="12" y="${24 + 18 * i}" font-size="${i === 0 ? 15 : 11}">${xml(line)}</text>`),
    `<g transform="translate(${left},${top})">`,
    ...cells.filter((cell) => cell !== ''),
    `<rect width="${side}" height="${side}" fill="none" stroke="#9aa5b1"/>`,
    ...rows,
    ...columns,
    '</g>',
    '</svg>',
    '',
  ].join('\n');
}

/** What a roll-out means where attention has no shares. */
export const POINTWISE =
  "This model's attention is pointwise (HSTU): its weights are not shares, so their normalized absolute values are shown instead.";

function check(name: string, value: number | undefined, most: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= 1 && value <= most)) return;
  throw new InputError(
    'invalid-value',
    `${name} ${value}: this model has ${most === 1 ? `one ${name}` : `${name}s 1 to ${most}`}`,
  );
}

/** White to dark blue, or to dark red below 0; the root brings out small weights. */
function color(share: number): string {
  const s = Math.sqrt(Math.abs(share));
  const [r, g, b] = share < 0 ? [150, 20, 30] : [12, 44, 108];
  const mix = (to: number): number => Math.round(255 + (to - 255) * s);
  return `rgb(${mix(r)},${mix(g)},${mix(b)})`;
}

function text(x: number, y: number, content: string, anchor: 'start' | 'end', whole: string): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}">${xml(content)}<title>${xml(whole)}</title></text>`;
}

function shorten(title: string): string {
  const letters = [...title];
  return letters.length > LETTERS ? `${letters.slice(0, LETTERS - 1).join('')}…` : title;
}

/** Text for XML: markup escaped, and what XML does not allow (control characters, lone surrogates) left out. */
function xml(content: string): string {
  return content
    .replace(/[\p{Cc}\p{Cs}\ufffe\uffff]+/gu, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
