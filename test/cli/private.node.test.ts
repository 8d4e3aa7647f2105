/** `train --dp` and `evaluate --membership`, as users run them. */
import { beforeAll, describe, expect, it } from 'vitest';
import { openWorkplace, SHARED } from './attune.ts';

const place = openWorkplace(SHARED);
const SMALL = ['d=8', 'ff=8', 'window=8'].flatMap((pair) => ['--set', pair]);
const DP = ['--dp', 'epsilon=8,delta=1e-6,rate=0.5,steps=3'];

/** Users who walk round a ring of items. */
function log(from: number, to: number): string {
  const rows = ['user,item,timestamp'];
  for (let u = from; u < to; u++)
    for (let i = 0; i < 9; i++) rows.push(`u${u},i${(u * 5 + i) % 12},${1e9 + 60 * i + u}`);
  return `${rows.join('\n')}\n`;
}

beforeAll(async () => {
  place.write('members.csv', log(0, 30));
  place.write('mixed.csv', log(20, 50));
  await place.ok(['train', '--data', 'members.csv', '--out', 'private', ...DP, ...SMALL]);
});

describe('train --dp', () => {
  it('says what was spent, keeps it in the folder, and evaluates as usual', async () => {
    const { stdout } = await place.ok(['train', '--data', 'members.csv', '--out', 'said', ...DP, ...SMALL]);
    expect(stdout).toMatch(/members\.csv: taken as public: the items, the filter/);
    expect(stdout).toMatch(
      /\n\((7\.9\d|8\.00), 0\.000001\)-differential privacy of users, one more or less: 3 steps, /,
    );
    expect(stdout).toMatch(/Not validated: that would read the log without noise\./);
    expect(place.partJson('private/config.json').privacy).toMatchObject({ epsilon: 8, steps: 3, clip: 1 });
    const { result } = await place.answer('evaluate --model private --data members.csv --no-baselines');
    expect(result).toMatchObject({ users: 30 });
    const args = ['train', '--data', 'members.csv', '--out', 'json', ...DP, ...SMALL, '--json'];
    const trained = JSON.parse((await place.ok(args)).stdout);
    expect(trained.metrics).toBeNull();
    expect(trained.privacy).toMatchObject({ epsilon: 8, rate: 0.5, steps: 3 });
    expect(trained.privacy.spent).toBeLessThanOrEqual(8);
    expect(trained.privacy.spent).toBeGreaterThan(7.9);
  });

  it.each([
    [
      'train --data members.csv --out x --dp epsilon',
      "2 option '--dp <key=value,...>' argument 'epsilon' is invalid. expected numbers by name, as in epsilon=8,delta=1e-6",
    ],
    ['train --data members.csv --out x --dp epsilon=-1', '1 --dp: epsilon: expected a number > 0, got -1'],
    [
      'train --data members.csv --out x --dp epsilon=8 --epochs 3',
      '1 --epochs: with --dp: a private training plans its steps',
    ],
    [
      'train --data members.csv --out x --dp epsilon=8 --set memory=on',
      '1 --set memory=on: private training requires memory=off',
    ],
    [
      'train --data members.csv --out x --dp epsilon=8 --task rating',
      '2 --dp: for ranking the next item; leave that out for ratings',
    ],
    [
      'train --out private --resume --dp epsilon=9',
      '2 --dp: --resume continues what private was started with; leave this out',
    ],
    [
      'train --final private --data members.csv --out x',
      '1 private: was trained privately (--dp); a training on all events',
    ],
    [
      'update --model private --data mixed.csv --out x',
      '1 private: was trained privately (--dp); an update would learn without noise',
    ],
  ])('%s is refused', async (command, line) => {
    expect(await place.fails(command)).toContain(line);
  });
});

describe('evaluate --membership', () => {
  it('measures the losses of users of the training and of others, each by the record of the training', async () => {
    const { result, stderr } = await place.answer('evaluate --model private --data members.csv --membership mixed.csv');
    expect(result.membership).toMatchObject({ members: 30, outsiders: 20 });
    expect(result.model.privacy).toMatchObject({ epsilon: 8 });
    expect(stderr).toMatch(/mixed\.csv: 10 users are left out, who were trained on/);
    const { stdout } = await place.ok('evaluate --model private --data members.csv --membership mixed.csv');
    expect(stdout).toMatch(
      /Membership by loss: 30 users of members\.csv, 20 of mixed\.csv; mean loss \d\.\d{3} and \d\.\d{3} nats/,
    );
    expect(stdout).toMatch(/Advantage 0\.\d{3} \(up to 0\.\d{3} by chance\), AUC 0\.\d{3} \(95 % interval/);
  });

  it('refuses logs of the wrong users', async () => {
    const members = await place.fails('evaluate --model private --data members.csv --membership members.csv');
    expect(members).toMatch(/^1 members\.csv: all of its users were trained on; give a log of other users/);
    place.write('others.csv', log(30, 50));
    const others = await place.fails('evaluate --model private --data others.csv --membership mixed.csv');
    expect(others).toMatch(/^1 others\.csv: none of its users was trained on; give the log of the training/);
  });
});
