/** `attune generate` and `evaluate --next`, as users run them. */
import { beforeAll, describe, expect, test } from 'vitest';
import { circle, SMALL, openWorkplace, SHARED } from './attune.ts';

const IDS = ['a', 'b', 'c', 'with, comma', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l'];

const place = openWorkplace(SHARED);
beforeAll(async () => {
  place.write('log.csv', circle(IDS, 30, 11));
  place.write('items.csv', 'item,title\na,Anchor\n');
  const { code, stderr } = await place.run([
    ...['train', '--data', 'log.csv', '--out', 'model', '--items', 'items.csv', '--recipe', 'encoder-decoder'],
    ...'--protocol last-n:n=3 --epochs 30 --include-seen --set learningRate=0.02 --set dropout=0'.split(' '),
    ...[...SMALL, '--set', 'decoder=1', '--set', 'continuation=4', '--set', 'memory=off'],
  ]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

describe('generate', () => {
  test('continues the circle: as JSON, as text, and for a user of the log', async () => {
    const answer = await place.json('generate --model model --history j,k,l --steps 4');
    expect(answer.items.map((item: { id: string }) => item.id)).toEqual(['a', 'b', 'c', 'with, comma']);
    expect(answer).toMatchObject({ unknown: [], decode: 'greedy', seen: 'excluded' });
    expect(answer.items[0]).toMatchObject({ title: 'Anchor', logProbability: expect.any(Number) });
    const people = await place.run('generate --model model --history k,l --steps 2');
    expect(people.stdout).toMatch(/1\. +Anchor +0\.\d{4} +a\n *2\. +b +0\.\d{4} +b/);
    const user = await place.json('generate --model model --user u0 --data log.csv --steps 1');
    expect(user.items.map((item: { id: string }) => item.id)).toEqual(['l']);
  });

  test('samples by a seed, and searches with beams', async () => {
    const draw = (seed: string) =>
      place.json(`generate --model model --history a --decode top-k --temperature 9 --seed ${seed} --steps 4`);
    expect(await draw('1')).toEqual(await draw('1'));
    const beam = await place.run('generate --model model --history a --steps 2 --decode beam --beams 2');
    expect(beam.stdout).toMatch(/^Beam 1, log probability -\d[\s\S]*Beam 2, log probability -\d/);
  });

  test.each([
    ['--history a --steps 5', /^1 --steps 5: this model was trained to continue by at most 4 items/],
    ['--history nobody', /^1 none of the 1 items of the history is known/],
    ['--history a --steps 2 --decode top-k --top-k 129', /^1 --top-k 129: expected an integer from 1 to 128/],
  ])('%s is refused in one line', async (args, message) => {
    expect(await place.fails(`generate --model model ${args}`)).toMatch(message);
  });
});

describe('evaluate --next', () => {
  const evaluate = ['evaluate', '--model', 'model', '--data', 'log.csv', '--next'];

  test('reports how often the next events are predicted', async () => {
    const result = await place.json([...evaluate, '3', '--include-seen', '--beside', 'model']);
    expect(result).toMatchObject({
      protocol: 'last-n',
      protocolParameters: { n: 3 },
      next: 3,
      users: 30,
      decode: 'greedy',
    });
    expect(result.models).toHaveLength(2);
    const [{ generated, ranked, recipe }] = result.models;
    expect(recipe).toBe('encoder-decoder');
    expect(generated['Order@3']).toBeGreaterThan(0.9);
    expect(generated['Recall@3']).toBeGreaterThan(ranked['Recall@3']);
    expect(result.difference['Recall@3']).toMatchObject({ mean: 0, p: 1 });
    const people = await place.run([...evaluate, '3', '--include-seen']);
    expect(people.stdout).toMatch(/encoder-decoder \(step \d+\), continued \(greedy\) +\d\.\d{4}/);
    expect(people.stdout).toContain('95 % confidence');
  });

  test('refuses more events than the protocol holds out', async () => {
    expect(await place.fails([...evaluate, '4'])).toMatch(
      /^1 --next 4: no user has 4 test targets .*--protocol last-n:n=4/,
    );
  });
});
