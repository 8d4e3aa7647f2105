/** Settings have bounds, and a model that would not fit into memory is refused before anything is allocated. */
import { describe, expect, it } from 'vitest';
import { InputError } from '../../data/errors.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import { loadConfig, type ModelConfig } from '../../model/storage/config.ts';
import { createFolder } from '../../model/storage/folder.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { bytesNeeded, requireMemory } from '../../model/nn/memory-needed.ts';
import { ratingSettings } from '../../model/ratings/settings.ts';
import { checkSettings } from '../../model/recipes/settings.ts';
import { recipes, settingsFor } from '../../model/recipes/recipes.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { commit } from '../../model/storage/manifest.ts';
import { Recommender } from '../../recommend/recommender.ts';
import { smallModel } from '../recommend/model.fixture.ts';
import { configOf, itemsOf } from './folder.fixture.ts';
import { openDevice } from '../device.ts';

const device = await openDevice({ backend: 'cpu' });

const ABSURD = [1e8, 1e300, -1e8, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY];
const refused = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return (error as Error).message;
  }
  return '';
};

describe('every number among the settings has a range', () => {
  const sasrec = recipes.get('sasrec')?.settings as object;
  const numbers = Object.entries(sasrec).filter(([, value]) => typeof value === 'number');

  it.each(numbers.map(([key]) => key))('%s', (key) => {
    const messages = ABSURD.map((value) => refused(() => checkSettings({ [key]: value }, 'm/config.json: ')));
    // Rates take 0.5, and counts of steps 1e8; nothing takes more than two of these.
    expect(messages.filter((message) => message === '').length).toBeLessThanOrEqual(2);
    for (const message of messages.filter(Boolean)) expect(message).toMatch(/^m\/config\.json: \w+=[^\n]+$/);
    for (const text of ['1e300', '-1e300', 'NaN', ''])
      expect(refused(() => settingsFor('sasrec', { [key]: text }))).toMatch(new RegExp(`^\`settings.${key}: `));
  });

  it('of ratings', () => {
    for (const key of Object.keys(ratingSettings(1000)))
      for (const text of ['1e300', '-1', 'NaN', ''])
        expect(refused(() => ratingSettings(1000, { [key]: text }))).toMatch(new RegExp(`^\`settings.${key}: `));
  });
});

describe('config.json', () => {
  const changed = async (change: (config: ModelConfig) => unknown): Promise<string> => {
    const files = new MemoryFiles('m');
    await createFolder(files, configOf(4), itemsOf(4));
    const config = structuredClone(configOf(4));
    change(config);
    await commit(files, { 'config.json': JSON.stringify(config) });
    const error = (await loadConfig(files).catch((reason: unknown) => reason)) as Error;
    expect(error).toBeInstanceOf(InputError);
    return error.message;
  };

  it.each<[string, (config: ModelConfig) => unknown, RegExp]>([
    ['1e8 blocks', (c) => (c.hyperparameters.blocks = 1e8), /blocks=100000000: expected an integer from 1 to 128$/],
    ['a setting that is unknown', (c) => (c.hyperparameters.blokcs = 2), /blokcs=2: unknown setting$/],
    ['an unknown key', (c) => Object.assign(c, { colour: 'red' }), /colour: unknown key$/],
    ['an unknown key within', (c) => Object.assign(c.data, { itmes: 3 }), /data\.itmes: unknown key$/],
    ['a key that is missing', (c) => Reflect.deleteProperty(c, 'seen'), /seen: expected excluded, kept, got nothing$/],
    ['a count below 0', (c) => (c.data.users = -1), /data\.users: expected an integer from 0 to \d+, got -1$/],
    [
      'too many items',
      (c) => (c.data.items = 1e15),
      /data\.items: expected an integer from 0 to \d+, got 1000000000000000$/,
    ],
    [
      'text for a number',
      (c) => Object.assign(c.data, { users: '3' }),
      /data\.users: expected an integer .*, got "3"$/,
    ],
  ])('with %s is refused', async (_, change, message) => {
    const found = await changed(change);
    expect(found).toMatch(/^m\/config-\d+\.json: /);
    expect(found).toMatch(message);
  });

  it('that names a larger model than its file holds is refused before it is built', async () => {
    const files = await smallModel(device, { memory: false });
    const config = await loadConfig(files);
    for (const change of [{ blocks: 128 }, { d: 8192, heads: 64 }, { ff: 65_536 }]) {
      const hyperparameters = { ...config.hyperparameters, ...change };
      await commit(files, { 'config.json': JSON.stringify({ ...config, hyperparameters }) });
      await expect(loadModel(files)).resolves.toBeDefined();
      const started = performance.now();
      await expect(Recommender.load(files, { device })).rejects.toThrow(
        /^small-model\/model-\d+\.safetensors: (tensor \S+: expected F32 \[[\d, ]+\], got F32 \[[\d, ]+\]|expected a tensor \S+ \[[\d, ]+\], there is none)$/,
      );
      expect(performance.now() - started).toBeLessThan(5000);
    }
  });
});

describe('memory', () => {
  it('is counted: values, gradients and moments while training', () => {
    const parameters = [{ name: 'a', shape: [10, 4] }];
    expect(bytesNeeded({ parameters }, 'loaded')).toBe(4 * 2 * 40);
    expect(bytesNeeded({ parameters, activations: 7 }, 'trained')).toBe(4 * (5 * 40 + 7));
    expect(refused(() => requireMemory({ parameters }, 'loaded', 'choose less', 300))).toMatch(
      /^the model needs about 0\.0 GiB of memory, .*the largest a \[10,4\]\); choose less$/,
    );
    expect(refused(() => requireMemory({ parameters }, 'loaded', 'choose less', 320))).toBe('');
  });

  it('a model that no machine holds is refused before it is drawn', () => {
    const settings = settingsFor('sasrec', { d: '8192', heads: '64', ff: '65536', blocks: '128' });
    const message = refused(() => SequenceModel.create(device, settings, 1000, 1));
    expect(message).toMatch(/^the model needs about \d+\.\d GiB of memory, expected at most \d+\.\d GiB/);
  });
});
