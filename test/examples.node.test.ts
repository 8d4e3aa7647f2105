/** Every example runs as a reader runs it, and says what it promises. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { build, root } from './e2e/paths.ts';

const SAYS: Record<string, RegExp[]> = {
  advertising: [
    /AUC 0\.[789]/,
    /at the desk\n +garden ad 5 +[3-9]\d %/,
    /new garden ad +[3-9]\d %/,
    /new cars ad +\d %/,
  ],
  'character-model': [/compare thee to a summer's day\?\nThou art more/],
  deepfm: [/AUC of new visits 0\.(8[5-9]|9)/],
  'cross-attention': [/right about (9\d|100) % of new users/],
  generation: [/greedy +algebra 5, algebra 6, algebra 7, algebra 8/, /beam 1 .*algebra 5, algebra 6/],
  music: [/HR@1 0\.[5-9]/, /after calm-5 +→ calm-/, /after dance-8 +→ .*dance-/],
  news: [/after 8-science-Cleo/, /(science|sport) by Cleo, day 11/],
  'next-item': [/validation: NDCG@10 0\.[2-9]/, /Next:\n +-?\d/],
  ratings: [/out of fold: RMSE 0\.[2-5]/, /drama 9 +4\.\d|drama 9 +5\.0/],
  'self-attention': [/milk frother +looks at espresso/, /differs from the long way by \de-[678]/],
  shop: [/under 30, at most two of a category/, /Mainly because|Because|because of/],
};

describe('examples', () => {
  beforeAll(build);

  it.each(readdirSync(`${root}/examples`).filter((name) => name.endsWith('.ts')))('%s', (file) => {
    const name = file.replace(/\.ts$/, '');
    const output = execFileSync(process.execPath, [`dist/examples/${name}.js`], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    expect(SAYS[name], 'what it must say, in this test').toBeDefined();
    for (const pattern of SAYS[name]) expect(output).toMatch(pattern);
  });
});
