/** Values as people write them, long histories, names of Object.prototype, and outputs that would overwrite inputs. */
import { linkSync, symlinkSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { circle, SMALL, openWorkplace, SHARED } from './attune.ts';

const IDS = Array.from({ length: 12 }, (_, i) => `i${i}`);
/** 5 to 1,105.00 with a decimal point, and the same with a comma. */
const amount = (i: number) => 100 * i + 5;
const dollars = (i: number) => (i < 10 ? `$${amount(i)}.00` : `$1,${String(amount(i)).slice(1)}.00`);
const euros = (i: number) => (i < 10 ? `${amount(i)},00 €` : `1.${String(amount(i)).slice(1)},00 €`);
const ITEMS = `item_id,title,price,"euro",constructor,toString\n${IDS.map(
  (id, i) => `${id},Thing ${i},"${dollars(i)}","${euros(i)}",c${i % 3},`,
).join('\n')}\n`;
const LOG = circle(IDS, 30, 9);

const place = openWorkplace(SHARED);
beforeAll(async () => {
  place.write('log.csv', LOG);
  place.write('items.csv', ITEMS);
  const { code, stdout, stderr } = await place.run([
    ...['train', '--data', 'log.csv', '--out', 'm', '--items', 'items.csv', '--recipe', 'sasrec', '--epochs', '1'],
    ...['--seed', '3', '--set', 'memory=off', ...SMALL],
  ]);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toContain('log.csv: columns: user "user", item "item", time "timestamp"\n');
});

const json = (...args: string[]) => place.json(args);
const fails = (...args: string[]) => place.fails(args);
const recommend = async (...args: string[]): Promise<string[]> => {
  const answer = await json('recommend', '--model', 'm', '--history', 'i0', '--include-seen', '--k', '12', ...args);
  return answer.items.map(({ id }: { id: string }) => id).sort();
};
const below = (bound: number) => IDS.filter((_, i) => amount(i) < bound).sort();

describe('values', () => {
  test('prices with a currency and thousands separators are numbers in filters', async () => {
    for (const name of ['price', 'euro']) {
      expect(await recommend('--where', `${name}<305`)).toEqual(below(305));
      expect(await recommend('--where', `${name}<1105`)).toEqual(below(1105));
      expect(await recommend('--where', `${name}=1005`)).toEqual(['i10']);
    }
    expect(await recommend('--where', 'price>="$1,005.00"')).toEqual(['i10', 'i11']);
    expect(await recommend('--where', 'euro>="1.005,00 €"')).toEqual(['i10', 'i11']);
  });

  test('columns may have names of Object.prototype', async () => {
    expect(await recommend('--where', 'constructor=c1')).toEqual(['i1', 'i10', 'i4', 'i7']);
    expect(await recommend('--cap', 'constructor=2')).toHaveLength(6);
    // A column without any value is not an attribute.
    expect(await place.fails('recommend --model m --history i0 --cap toString=2')).toMatch(
      /^1 .*no item has an attribute toString/,
    );
  });
});

test('a history of 150,000 events gets recommendations, and is continued', async () => {
  const rows = Array.from({ length: 150_000 }, (_, t) => `one,i${t % 4},${t}`);
  place.write('long.csv', `user,item,timestamp\n${rows.join('\n')}\n`);
  const whose = ['--model', 'm', '--user', 'one', '--data', 'long.csv'];
  const { items } = await json('recommend', ...whose, '--k', '12');
  expect(items.map(({ id }: { id: string }) => id).sort()).toEqual(IDS.slice(4).sort());
  expect((await json('generate', ...whose, '--steps', '2')).items).toHaveLength(2);
});

test('no input is overwritten, whatever path leads to it', async () => {
  symlinkSync(place.path('log.csv'), place.path('link.csv'));
  linkSync(place.path('log.csv'), place.path('other.csv'));
  const evaluate = ['evaluate', '--model', 'm', '--data', 'log.csv'];
  for (const file of ['log.csv', './log.csv', 'link.csv', 'other.csv', place.path('log.csv')]) {
    expect(await fails(...evaluate, '--dump', file)).toBe(
      `1 --dump ${file}: is log.csv, which this command reads; choose another file`,
    );
  }
  expect(await fails(...evaluate, '--dump', 'm/model.safetensors')).toMatch(/^1 --dump .*: is a file of the model m;/);
  const several = ['evaluate', '--model', 'm', '--data', 'lo?.csv'];
  expect(await fails(...several, '--dump', 'other.csv')).toMatch(/^1 --dump other.csv: is log.csv, which this command/);
  const draw = ['recommend', '--model', 'm', '--user', 'u0', '--data', 'log.csv', '--heatmap', 'log.csv'];
  expect(await fails(...draw)).toMatch(/^1 --heatmap log.csv: is log.csv, which this command reads/);
  expect(place.read('log.csv')).toBe(LOG);
  const { code } = await place.run([...evaluate, '--no-baselines', '--dump', 'm/ranks.jsonl']);
  expect(code).toBe(0);
});

test('--resume accepts flags that repeat the start, and no others', async () => {
  const resume = ['train', '--out', 'm', '--resume', '--epochs', '1'];
  const same = '--seed 3 --recipe sasrec --protocol leave-one-out --set d=8 --set memory=off'.split(' ');
  const { code, stderr } = await place.run([...resume, ...same, '--min-interactions', '5']);
  expect([code, stderr]).toEqual([0, '']);
  for (const other of [
    ['--seed', '1'],
    ['--recipe', 'gru4rec'],
    ['--protocol', 'last-n:n=1'],
    ['--set', 'd=16'],
    ['--min-interactions', '4'],
    ['--min-rating', '3'],
    ['--include-seen'],
    ['--items', 'items.csv'],
  ]) {
    const said = `2 ${other[0]}: --resume continues what m was started with; leave this out, or start again with another --out`;
    expect(await fails(...resume, ...other)).toContain(said);
  }
  expect(await fails(...resume, '--min-rating', '4', '--seed', '2')).toMatch(
    /^2 --seed, --min-rating: .*leave these out/,
  );
});
