/** Roll-out by hand, its picture, and how agreement is counted. */
import { describe, expect, it } from 'vitest';
import type { AttentionWeights } from '../../engine/index.ts';
import { AttentionMaps } from '../../model/inference/attention-maps.ts';
import { agreementOf, spearman } from '../../recommend/explanations/agreement.ts';
import type { Explanation } from '../../recommend/explanations/explain.ts';
import { attentionHeatmap } from '../../recommend/explanations/heatmap.ts';

/** Maps [block][head][row][column]. */
function mapsOf(all: number[][][][], pointwise = false): AttentionMaps {
  const weights = all.map((heads) => ({ row: (h: number, i: number) => Float64Array.from(heads[h][i]) }));
  const tokens = all[0][0].length;
  return new AttentionMaps(weights as unknown as AttentionWeights[], all[0].length, tokens, tokens, pointwise);
}

const flat = (n: number): number[][] =>
  Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => (j <= i ? 1 / (i + 1) : 0)));

describe('roll-out', () => {
  it("is the product of the blocks' maps with half of the residual", () => {
    const first = [
      [1, 0],
      [0.5, 0.5],
    ];
    const second = [
      [1, 0],
      [0.2, 0.8],
    ];
    const rows = mapsOf([[first], [second]]).rollout();
    expect(rows[0]).toBeCloseTo(0.1 + 0.9 * 0.25, 12);
    expect(rows[1]).toBeCloseTo(0.9 * 0.75, 12);
  });

  it('averages heads, and takes the absolute values of weights that are no shares', () => {
    const maps = mapsOf(
      [
        [
          [
            [1, 0],
            [-3, 1],
          ],
          [
            [1, 0],
            [0, 0],
          ],
        ],
      ],
      true,
    );
    expect([...maps.mean(0, 1)]).toEqual([0.375, 0.625]); // the second head takes nothing
    expect([...maps.shares()]).toEqual([0.1875, 0.8125]);
  });
});

/** Every element closed in order, attributes quoted, no bare ampersand: what XML asks for here. */
function wellFormed(svg: string): boolean {
  const open: string[] = [];
  for (const [, close, name, , self] of svg.matchAll(/<(\/?)([a-z]+)((?: [\w-]+="[^"<]*")*)(\/?)>/g)) {
    if (close) {
      if (open.pop() !== name) return false;
    } else if (!self) open.push(name);
  }
  const rest = svg.replace(/<(\/?)([a-z]+)((?: [\w-]+="[^"<]*")*)(\/?)>/g, '');
  return open.length === 0 && !/[<>]|&(?!(amp|lt|gt|quot);)/.test(rest);
}

describe('the picture', () => {
  const titles = [
    '</text><script>alert(1)</script>',
    'A & "B"\u0007\ud800',
    ...Array(58).fill('A title that is rather long, as titles are'),
  ];

  it('escapes titles, cuts them, and keeps them whole in the tooltip', () => {
    const svg = attentionHeatmap(mapsOf([[flat(3)], [flat(3)]]), titles.slice(0, 3));
    expect(wellFormed(svg)).toBe(true);
    for (const odd of ['<script', '\u0007', '\ud800']) expect(svg).not.toContain(odd);
    expect(svg).toContain('&lt;/text&gt;&lt;script&gt;');
    expect(svg).toContain('A &amp; &quot;B&quot;');
    expect(svg).toContain('3 A title that is rather long, …<');
    expect(svg).toContain('<title>A title that is rather long, as titles are</title>');
    expect(svg).not.toMatch(/href|url\(|<style/);
    expect(svg.match(/looks at/g)).toHaveLength(6);
  });

  it('shows the latest of many events, and any block and head', () => {
    const maps = mapsOf([[flat(60), flat(60)]]);
    const svg = attentionHeatmap(maps, titles, { block: 1, head: 2 });
    expect(wellFormed(svg)).toBe(true);
    expect(svg).toContain('Attention of block 1, head 2');
    expect(svg).toContain('the last 40 of 60 events');
    expect(svg.match(/looks at/g)).toHaveLength((40 * 41) / 2);
    expect(() => attentionHeatmap(maps, titles, { block: 2 })).toThrow('block 2: this model has one block');
    expect(() => attentionHeatmap(maps, titles, { block: 1, head: 3 })).toThrow('head 3: this model has heads 1 to 2');
  });
});

describe('agreement', () => {
  it('Spearman, with ties', () => {
    expect(spearman([1, 2, 3, 4], [10, 30, 20, 40])).toBeCloseTo(0.8, 12);
    expect(spearman([1, 1, 2], [1, 2, 3])).toBeCloseTo(Math.sqrt(0.75), 12);
    expect(spearman([1, 2, 3], [5, 5, 5])).toBe(null);
  });

  it('of two explanations', () => {
    const explanation = (of: number[]): Explanation =>
      ({
        events: of
          .map((contribution, position) => ({ position, contribution, transformer: contribution }))
          .sort((a, b) => b.contribution - a.contribution),
      }) as unknown as Explanation;
    const found = agreementOf(explanation([3, 1, -1]), explanation([0.2, 0.5, 0.3]));
    expect(found).toEqual({
      spearman: -0.5,
      top: false,
      drop: { occlusion: 3, rollout: 1, latest: -1, random: 1 },
      attention: { spearman: -0.5, top: false },
      latest: { spearman: -1, top: false },
    });
    expect(agreementOf(explanation([3]), explanation([1]))).toBe(null);
  });
});
