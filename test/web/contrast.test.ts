/** The contrast of the colors, in both themes, as WCAG 2.2 counts it. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const css = readFileSync(new URL('../../web/style/tokens.css', import.meta.url), 'utf8');
const tokens = new Map(
  [...css.matchAll(/--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)/g)].map(([, name, light, dark]) => [
    name,
    [light, dark],
  ]),
);

/** Relative luminance (WCAG 2.2). */
function luminance(color: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const share = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string, theme: number): number {
  const [less, more] = [a, b].map((name) => luminance((tokens.get(name) as string[])[theme])).sort((x, y) => x - y);
  return (more + 0.05) / (less + 0.05);
}

const grounds = ['paper', 'surface', 'raised'];
/** Text on what it stands on. */
const texts = [
  ...['ink', 'muted', 'accent', 'danger'].flatMap((text) => grounds.map((ground) => [text, ground])),
  ...['accent-soft', 'warm-soft', 'danger-soft'].map((ground) => ['ink', ground]),
  ...[
    ['accent', 'accent-soft'],
    ['muted', 'accent-soft'],
    ['danger', 'danger-soft'],
    ['on-accent', 'accent'],
  ],
];
/** What is no text: bars, borders of controls, dots on the map. */
const shapes = [
  ...['accent', 'danger', 'control'].flatMap((shape) => grounds.map((ground) => [shape, ground])),
  ...Array.from({ length: 9 }, (_, group) => [`group-${group}`, 'paper']),
];

it.each(['light', 'dark'])('is at least 4.5 for text and 3 for shapes, %s', (theme) => {
  const at = ['light', 'dark'].indexOf(theme);
  const low = (pairs: string[][], least: number) =>
    pairs.map(([a, b]) => ({ pair: `${a} on ${b}`, ratio: contrast(a, b, at) })).filter(({ ratio }) => ratio < least);
  expect(low(texts, 4.5)).toEqual([]);
  expect(low(shapes, 3)).toEqual([]);
});
