/** The second stage from the command line: trained with a model, and on top of an existing one. */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { circle, SMALL, openWorkplace, SHARED } from './attune.ts';

const IDS = Array.from({ length: 12 }, (_, i) => `item ${i}`);
const RANKER = ['rankerCandidates=6', 'rankerNegatives=3', 'rankerValidate=10', 'rankerPatience=1'].flatMap((set) => [
  '--set',
  set,
]);

const place = openWorkplace(SHARED);
let trained: { metrics: Record<string, number>; parts: Record<string, Record<string, number>> };
beforeAll(async () => {
  place.write('log.csv', circle(IDS, 20, 8));
  trained = await place.json([
    ...'train --data log.csv --out model --epochs 1 --ranker'.split(' '),
    ...SMALL,
    ...RANKER,
  ]);
});

describe('two stages', () => {
  test('evaluate reports each stage, both together, and their cost', async () => {
    expect(trained.metrics['NDCG@10']).toBeGreaterThanOrEqual(trained.parts.retrieval['NDCG@10']);
    const judged = await place.json('evaluate --model model --data log.csv --split valid --no-baselines');
    expect(judged.metrics['NDCG@10']).toBeCloseTo(trained.metrics['NDCG@10'], 5);
    expect(judged.parts.retrieval['NDCG@10']).toBeCloseTo(trained.parts.retrieval['NDCG@10'], 5);
    expect(judged.parts.ranker['NDCG@10']).toBeCloseTo(trained.parts.ranker['NDCG@10'], 5);
    expect(judged.cost.ranker).toBeGreaterThan(0);
    const { stdout } = await place.run('evaluate --model model --data log.csv --no-baselines');
    expect(stdout).toMatch(/two stages +\d\.\d{4}/);
    expect(stdout).toMatch(/first stage +\d\.\d{4}/);
    expect(stdout).toMatch(/ranker alone +\d\.\d{4}/);
    expect(stdout).toMatch(/Cost: the first stage [\d.]+ ms a user, the ranker [\d.]+ ms for 6 candidates/);
  });

  test('a ranker is trained on top of an existing model, which does not change', async () => {
    const again = await place.json([
      'train',
      '--out',
      'model',
      '--resume',
      '--ranker',
      '--set',
      'rankerLoss=bce',
      ...RANKER,
    ]);
    expect(again.reason).toBe('ranker');
    expect(again.parts.retrieval).toEqual(trained.parts.retrieval);
    const { items } = await place.json(['recommend', '--model', 'model', '--history', 'item 1,item 2', '--k', '3']);
    expect(items).toHaveLength(3);
  });

  test('attributes are read if the items have any, and a note says if not', async () => {
    const more = ['--set', 'rankerItems=attributes', '--set', 'rankerEncoder=own', '--set', 'rankerMutual=on'];
    const begin = [
      ...'train --data log.csv --epochs 1 --ranker'.split(' '),
      ...SMALL,
      ...RANKER,
      ...more,
      '--progress',
    ];
    const bare = await place.run([...begin, '--out', 'bare']);
    expect([bare.code, bare.stderr]).toEqual([
      0,
      expect.stringContaining('ranker: the items have no attributes; candidates are their IDs alone'),
    ]);
    place.write('items.csv', `item,title,colour\n${IDS.map((id, i) => `${id},thing ${i},c${i % 3}\n`).join('')}`);
    const described = await place.run([...begin, '--items', 'items.csv', '--out', 'described']);
    expect([described.code, described.stderr]).toEqual([0, expect.not.stringContaining('no attributes')]);
    const held = (name: string) => readFileSync(place.part(`${name}/ranker.safetensors`)).includes('attributes.weight');
    expect([held('bare'), held('described')]).toEqual([false, true]);
    const judged = await place.json('evaluate --model described --data log.csv --no-baselines');
    expect(judged.cost.ranker).toBeGreaterThan(0);
  });

  test('impossible combinations are refused in one line', async () => {
    const resume = 'train --out model --resume --ranker';
    expect(await place.fails(`${resume} --epochs 3`)).toMatch(/^2 --epochs counts those of the model/);
    expect(await place.fails(`${resume} --set d=16`)).toMatch(
      /^2 --set: --resume continues what model was started with/,
    );
    expect(await place.fails(`${resume} --set rankerCandidates=1`)).toMatch(
      /^1 --set rankerCandidates=1: expected an integer from 2 to 128/,
    );
    expect(await place.fails('train --data log.csv --out other --ranker --set ranker=off')).toMatch(
      /^2 --set ranker=off and --ranker exclude each other/,
    );
  });
});
