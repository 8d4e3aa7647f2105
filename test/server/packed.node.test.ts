/** A model of fewer bits behind `attune serve`: what it answers is what `attune recommend` gives of the same file. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Device } from '../../engine/index.ts';
import { copyModel } from '../../model/storage/pack.ts';
import { NodeFiles } from '../../recommend/node.ts';
import { openWorkplace, SHARED } from '../cli/attune.ts';
import { smallModel } from '../recommend/model.fixture.ts';
import { endAll, serveCommand, type Served } from './command.ts';

const place = openWorkplace(SHARED);
let served: Served;

beforeAll(async () => {
  const device = await Device.open({ backend: 'cpu' });
  await copyModel(await smallModel(device), await NodeFiles.create(place.path('model')));
  device.close();
  await place.ok('pack --model model --out light.attune --weights int8');
  served = await serveCommand(['--model', place.path('light.attune')]);
});
afterAll(endAll);

interface Entry {
  id: string;
  score: number;
}

describe('a model in int8', () => {
  it.each([['i3,i8'], ['i1,i2,i9,i30,i31'], ['i59']])('serves what `recommend` gives after %s', async (history) => {
    const wanted: { items: Entry[] } = await place.json(`recommend --model light.attune --history ${history} --k 12`);
    const answer = await fetch(`${served.url}/v1/recommendations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ history: history.split(','), k: 12 }),
    });
    expect(answer.status).toBe(200);
    const { items } = (await answer.json()) as { items: Entry[] };
    expect(items).toHaveLength(12);
    const shown = (list: Entry[]) => list.map(({ id, score }) => ({ id, score: score.toFixed(5) }));
    expect(shown(items)).toEqual(shown(wanted.items));
  });
});
