/** `attune pack` and `attune unpack`, and packed models wherever --model takes one. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
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

  test('report errors in one line', async () => {
    writeFileSync(place.path('torn.attune'), readFileSync(place.path('y.attune')).subarray(0, 9000));
    const wrong: [string | string[], RegExp][] = [
      ['pack --model gone --out z.attune', /^1 gone: no such folder or packed model$/],
      [['pack', '--model', 'my model', '--out', 'z.zip'], /^2 --out z\.zip: a packed model is called NAME\.attune/],
      [['pack', '--model', 'my model', '--out', 'y.attune'], /^1 y\.attune: is there already; add --overwrite/],
      ['unpack --model y.attune --out back', /^1 back: already holds a model/],
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
