/** `attune attack` and `train --guard` as users run them. */
import { existsSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { openWorkplace, SHARED, SMALL } from './attune.ts';

const place = openWorkplace(SHARED);
const item = 'rare, "new"';

beforeAll(() => {
  // Walks round a ring of sixty items, with a detour each; every fiftieth walker has the item that is pushed.
  const rows = Array.from({ length: 300 }, (_, u) =>
    Array.from({ length: 12 }, (_, t) => {
      const at = t === 2 + (u % 3) ? 30 + (u % 11) : t;
      return `u${u},${u % 50 === 0 && t === 4 ? '"rare, ""new"""' : `i${(u * 7 + at) % 60}`},${1_700_000_000 + 1000 * t + u}`;
    }),
  );
  place.write('log.csv', `user,item,timestamp\n${rows.flat().join('\n')}\n`);
});

describe('attune attack', () => {
  it('prints what the attack changes and writes the log', async () => {
    const run = [
      'attack',
      '--data',
      'log.csv',
      '--item',
      item,
      '--kind',
      'random',
      '--size',
      '0.05',
      '--device',
      'cpu',
    ];
    const result = await place.json([...run, ...SMALL, '--epochs', '1', '--guard', '--out', 'attacked.csv']);
    expect(result).toMatchObject({ item, kind: 'random', size: 0.05, profiles: 15, users: 300, seen: 'excluded' });
    expect(Object.keys(result.components)).toEqual(['transformer', 'transitions', 'blend']);
    expect(Object.keys(result.components.blend)).toEqual(['clean', 'attacked', 'guarded']);
    expect(result.detector.AUC).toBeGreaterThan(0.9);
    const lines = readFileSync(place.path('attacked.csv'), 'utf8').trimEnd().split('\n');
    expect(lines[0]).toBe('user,item,timestamp');
    expect(new Set(lines.map((line) => line.split(',')[0]).filter((id) => id.startsWith('attack-'))).size).toBe(15);
    expect(await place.fails([...run, '--out', 'attacked.csv'])).toBe(
      '1 attacked.csv: already there; add --overwrite to replace it',
    );
    expect(await place.fails(run.map((arg) => (arg === item ? 'none' : arg)))).toMatch(/^1 --item: .*no item "none"/);
    expect(await place.fails([...run, '--segment', 'log.csv'])).toMatch(/^2 --segment: is for --kind segment/);
  });

  it('trains with a guard, and says whom it leaves out', async () => {
    const { stdout, stderr } = await place.ok([
      ...'train --data attacked.csv --out guarded --guard --epochs 1'.split(' '),
      ...SMALL,
    ]);
    expect(`${stdout}${stderr}`).toMatch(/guard: \d+ of 315 users look injected and are left out \("attack-/);
    const { leftOut, targets } = place.partJson('guarded/guard.json');
    expect(leftOut[0].user).toMatch(/^attack-/);
    expect(targets).toContainEqual(expect.objectContaining({ item }));
    expect(existsSync(place.path('guarded/README.md'))).toBe(true);
  });
});
