/** SASRec of other libraries, imported: the scores that PyTorch gave (sasrec/make.py). */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { InputError } from '../../data/errors.ts';
import { Device } from '../../engine/index.ts';
import { importSasrec, saveImported } from '../../interop/sasrec/import.ts';
import { RankingModel } from '../../model/inference/ranking-model.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { decodeModel } from '../../model/storage/safetensors.ts';
import { openWorkplace, SHARED } from '../cli/attune.ts';
import { build } from '../e2e/paths.ts';

const pathOf = (name: string): string => fileURLToPath(new URL(`sasrec/${name}`, import.meta.url));
const golden = JSON.parse(readFileSync(pathOf('scores.json'), 'utf8')) as Record<
  string,
  { histories: number[][]; scores: number[][] }
>;
const stored = (name: string) =>
  decodeModel(new Uint8Array(readFileSync(pathOf(`${name}.safetensors`))), `${name}.safetensors`).tensors;
const device = await Device.open({ backend: 'cpu' });
afterAll(() => device.close());

describe('an imported SASRec', () => {
  it.each([
    ['recbole', 'RecBole', new Map<string, string>(), 1e-3],
    [
      'recbole-relu',
      'RecBole',
      new Map([
        ['heads', '1'],
        ['activation', 'relu'],
      ]),
      2e-5,
    ],
    ['pmixer', 'SASRec.pytorch', new Map<string, string>(), 2e-5],
  ] as const)('of %s has the scores that PyTorch gave', async (name, library, set, most) => {
    const model = importSasrec(stored(name), name, set);
    expect(model).toMatchObject({ library });
    expect(model.notes).toHaveLength({ recbole: 1, 'recbole-relu': 0, pmixer: 2 }[name]);
    const files = new MemoryFiles(name);
    await saveImported(files, model, { source: name, version: 'test' });
    const loaded = await loadModel(files);
    const own = await RankingModel.load(device, loaded);
    const scorer = own.scorer({ k: 10, scoresFrom: 0 });
    const { histories, scores } = golden[name];
    const answers = await scorer.score(
      histories.map((rows) => ({ history: Uint32Array.from(rows, (row) => row - 1) })),
    );
    for (const [u, { allScores }] of answers.entries()) {
      const largest = scores[u].reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      const off = scores[u].reduce((worst, x, i) => Math.max(worst, Math.abs(x - (allScores as Float32Array)[i])), 0);
      expect(off / largest).toBeLessThan(most);
    }
    own.dispose();
  });

  it('is refused where its parameters are of no known library, or of other shapes', () => {
    const none = new Map<string, string>();
    expect(() => importSasrec(new Map(), 'x', none)).toThrow(
      /x: its parameters are of no known SASRec; expected one of RecBole/,
    );
    const lacking = stored('recbole');
    lacking.delete('LayerNorm.bias');
    expect(() => importSasrec(lacking, 'x', none)).toThrow(
      /x: expected a tensor LayerNorm\.bias \[16\], there is none/,
    );
    const other = stored('pmixer');
    other.set('forward_layers.1.conv1.weight', { shape: [16, 16], data: new Float32Array(256) });
    expect(() => importSasrec(other, 'x', none)).toThrow(/conv1\.weight: expected F32 \[16, 16, 1\], got \[16, 16\]/);
    expect(() => importSasrec(stored('pmixer'), 'x', new Map([['heads', '2']]))).toThrow(/with one head alone/);
    expect(() => importSasrec(stored('recbole'), 'x', new Map([['heads', '3']]))).toThrow(InputError);
  });

  it('is imported, and recommends, by the command', async () => {
    build();
    const place = openWorkplace(SHARED);
    const ids = Array.from({ length: 30 }, (_, i) => (i === 0 ? '__proto__' : `item ${i + 1}`));
    place.write('ids.txt', `${ids.join('\n')}\n`);
    const run = ['import', '--from', pathOf('recbole.safetensors'), '--ids', 'ids.txt', '--out', 'imported', '--json'];
    const { code, stdout, stderr } = await place.run(run);
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ library: 'RecBole', items: 30, settings: { heads: 2, window: 6 } });
    const listed = await place.run(['recommend', '--model', 'imported', '--history', '__proto__,item 4', '--json']);
    expect(JSON.parse(listed.stdout).items).toHaveLength(10);
    place.write('few.txt', 'a\nb\n');
    const few = await place.run(['import', '--from', pathOf('pmixer.safetensors'), '--ids', 'few.txt', '--out', 'few']);
    expect([few.code, few.stderr]).toEqual([1, expect.stringMatching(/has 30 items besides the padding, and 2 IDs/)]);
  });
});
