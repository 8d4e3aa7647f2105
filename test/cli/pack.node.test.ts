/** `attune pack` and `attune unpack`, and packed models wherever --model takes one. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { Device } from '../../engine/index.ts';
import { copyModel } from '../../model/storage/pack.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { build } from '../e2e/paths.ts';
import { smallModel } from '../recommend/model.fixture.ts';
import { openWorkplace, SHARED } from './attune.ts';

build();
const place = openWorkplace(SHARED);
beforeAll(async () => {
  const device = await Device.open({ backend: 'cpu' });
  await copyModel(await smallModel(device), await NodeFiles.create(place.path('my model')));
  device.close();
});

const recommend = (model: string) => place.json(['recommend', '--model', model, '--history', 'i3,i8', '--k', '5']);

describe('pack and unpack', () => {
  test('a packed model, and the folder that it is unpacked into, recommend the same as the original', async () => {
    const packed = await place.run(['pack', '--model', 'my model', '--out', 'new/x.attune']);
    expect(packed).toMatchObject({ code: 0, stderr: '' });
    expect(packed.stdout).toMatch(/^new\/x\.attune: \d+ kB, the whole model\./);
    const unpacked = await place.run('unpack --model new/x.attune --out back');
    expect(unpacked).toMatchObject({ code: 0, stderr: '' });
    expect(unpacked.stdout).toMatch(
      /^back: config-000001\.json, items-000001\.json, manifest\.json, memory-000001\.safetensors, model-000001\.safetensors\n/,
    );
    const wanted = await recommend('my model');
    expect(wanted.items).toHaveLength(5);
    for (const model of ['new/x.attune', 'back']) expect(await recommend(model)).toEqual(wanted);
    for (const name of ['config.json', 'model.safetensors'])
      expect(readFileSync(place.part(`back/${name}`))).toEqual(readFileSync(place.part(`my model/${name}`)));
    const again = await place.json('pack --model back --out y.attune');
    expect(readFileSync(place.path('y.attune'))).toEqual(readFileSync(place.path('new/x.attune')));
    expect(again).toMatchObject({ out: 'y.attune', checkpoint: false });
  });

  test('--weights shrinks a model that serves and recommends, and says what that costs', async () => {
    // Two events a user to predict, and a history before them.
    const rows = Array.from({ length: 90 }, (_, i) => `u${i % 9},i${(7 * i + Math.floor(i / 9)) % 60},${i}`);
    writeFileSync(place.path('log.csv'), `user,item,time\n${rows.join('\n')}\n`);
    const { bytes } = await place.json(['pack', '--model', 'my model', '--out', 'plain.attune']);
    for (const weights of ['f16', 'int8', 'int4']) {
      const out = `${weights}.attune`;
      const args = ['pack', '--model', 'my model', '--out', out, '--weights', weights, '--device', 'cpu'];
      const unmeasured = await place.json(args);
      expect(unmeasured).toMatchObject({
        weights,
        bytesBefore: bytes,
        notMeasured: expect.stringContaining('nothing, the log'),
      });
      expect(unmeasured.bytes).toBeLessThan(bytes);
      const { ndcg } = await place.json([...args, '--overwrite', '--data', 'log.csv']);
      expect(ndcg.users).toBe(9);
      expect(ndcg.change).toBeCloseTo(ndcg.after - ndcg.before, 9);
      expect(ndcg.standardError).toBeGreaterThanOrEqual(0);
      expect((await recommend(out)).items).toHaveLength(5);
    }
    const text = await place.run([
      'pack',
      '--model',
      'my model',
      '--out',
      'z.attune',
      '--weights',
      'int8',
      '--data',
      'log.csv',
    ]);
    expect(text.stdout).toMatch(/^\d+ kB as it is, \d+ kB with the item table in int8 and other weights in f16\n/);
    expect(text.stdout).toMatch(
      /\nNDCG@10 of 9 users \(test\): 0\.\d+ before, 0\.\d+ after: [+-]0\.\d+ ± 0\.\d+ \(standard/,
    );
    rmSync(place.path('z.attune'));
  });

  test('report errors in one line', async () => {
    writeFileSync(place.path('torn.attune'), readFileSync(place.path('y.attune')).subarray(0, 9000));
    const wrong: [string | string[], RegExp][] = [
      ['pack --model gone --out z.attune', /^1 gone: no such folder or packed model$/],
      [['pack', '--model', 'my model', '--out', 'z.zip'], /^2 --out z\.zip: a packed model is called NAME\.attune/],
      [['pack', '--model', 'my model', '--out', 'y.attune'], /^1 y\.attune: is there already; add --overwrite/],
      ['unpack --model y.attune --out back', /^1 back: already holds a model/],
      [
        ['pack', '--model', 'int8.attune', '--out', 'z.attune', '--weights', 'f16'],
        /^1 int8\.attune\/model\.safetensors: its weights are compressed already; pack/,
      ],
      [
        ['pack', '--model', 'my model', '--out', 'z.attune', '--weights', 'int2'],
        /^2 option '--weights <format>' argument 'int2' is invalid/,
      ],
      [
        ['pack', '--model', 'my model', '--out', 'z.attune', '--weights', 'f16', '--checkpoint'],
        /^2 --checkpoint: cannot be compressed/,
      ],
      [['pack', '--model', 'my model', '--out', 'z.attune', '--data', 'log.csv'], /^2 --data: requires --weights/],
      ['unpack --model torn.attune --out b2', /^1 torn\.attune: no packed model, or cut short/],
    ];
    for (const [args, message] of wrong) {
      expect(await place.fails(args)).toMatch(message);
    }
    expect(existsSync(place.path('z.attune'))).toBe(false);
    await place.ok(['pack', '--model', 'my model', '--out', 'y.attune', '--overwrite']);
    await place.ok('unpack --model y.attune --out back --overwrite');
  });
});
