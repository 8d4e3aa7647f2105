/** Rounds in one process: what they come to, what they refuse, and what a restart keeps. */
import { describe, expect, it } from 'vitest';
import { planEpoch } from '../../data/batching/batches.ts';
import { atOnce } from '../../data/pieces.ts';
import { FINAL } from '../../data/splits/protocol.ts';
import { SGD } from '../../engine/index.ts';
import { SequenceModel, toArrays } from '../../model/encoders/sequence-model.ts';
import { windowsOf } from '../../model/recipes/derived.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import { type Content, MemoryFiles } from '../../model/storage/files.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { PackedTensor } from '../../model/storage/packed-tensor.ts';
import { encode, type StoredTensor } from '../../model/storage/safetensors.ts';
import { metadataOf } from '../../model/storage/tensors.ts';
import { splitDataset } from '../../data/splits/split.ts';
import { addNoise, normOf, type WeightValues } from '../../train/federated/clip.ts';
import { Coordinator } from '../../train/federated/coordinator.ts';
import { makeUpdate } from '../../train/federated/join.ts';
import { decodeUpdate, decodeWeights, encodeUpdate } from '../../train/federated/protocol.ts';
import { checkTerms, largestNorm, noiseOf } from '../../train/federated/terms.ts';
import { Feed } from '../../train/loop/feed.ts';
import { openDevice } from '../device.ts';
import { splitOf } from '../train/small.ts';
import { bytesOf, constant, ITEMS, message, PLAIN, SMALL, start, trainer, untrained, walk } from './clients.ts';

const device = await openDevice({ backend: 'cpu' });

const weightsOf = async (files: MemoryFiles): Promise<WeightValues> => toArrays((await loadModel(files)).tensors);

function expectClose(found: WeightValues, wanted: ReadonlyMap<string, Float32Array>): void {
  expect([...found.keys()]).toEqual([...wanted.keys()]);
  for (const [name, values] of wanted)
    for (const [i, value] of values.entries())
      if (Math.abs(found.get(name)![i] - value) > 1e-6)
        expect(found.get(name)![i], `${name} ${i}`).toBeCloseTo(value, 6);
}

/** SGD on one history, written out: what `LocalTrainer` must come to. */
async function trainedAlone(
  shared: WeightValues,
  own: Uint32Array,
  steps: number,
  rate: number,
  seed: number,
): Promise<WeightValues> {
  const settings = settingsFor('sasrec', { ...SMALL, budget: '64' });
  const model = SequenceModel.create(device, settings, ITEMS, 0);
  model.parameters.load('params', shared);
  const feed = new Feed(device, 64);
  const optimizer = new SGD(model.parameters, { learningRate: rate });
  const { dataset } = splitOf([[...own]], ITEMS);
  const items = own;
  const split = splitDataset({ ...dataset, items, itemIds: Array.from({ length: ITEMS }, (_, i) => `i${i}`) }, FINAL);
  for (let epoch = 0; epoch < steps; epoch++) {
    const [batch] = atOnce(planEpoch(split, { ...windowsOf(settings), maxTokens: 64, seed, epoch })).batches();
    feed.stage(batch);
    feed.upload();
    optimizer.prepare({ seed, step: epoch + 1, dropout: true });
    device.scope(() => {
      const loss = model.loss(feed.tensors);
      loss.backward();
      optimizer.step(loss);
    });
  }
  const values = await model.parameters.read();
  for (const owner of [optimizer, feed, model]) owner.dispose();
  return values;
}

describe('a round', () => {
  it('of one client without clip, noise and trim is that client training alone', async () => {
    const { files, coordinator, terms } = await start({ ...PLAIN, clients: 1, rounds: 3, steps: 4, rate: 0.5 });
    const local = trainer(device);
    let alone = await weightsOf(files);
    for (let round = 1; round <= 3; round++) {
      const own = walk(round);
      const { values } = decodeWeights(coordinator.message, coordinator.shapes);
      const { update } = await makeUpdate(local, values, { history: own }, terms, { seed: round });
      expect(normOf(update)).toBeGreaterThan(0.01);
      await coordinator.submit(await message(coordinator, update));
      alone = await trainedAlone(alone, own, 4, 0.5, round);
      expectClose(await weightsOf(files), alone);
    }
    expect(coordinator.info).toMatchObject({ done: true, round: 4, received: 0 });
    local.dispose();
  });

  it('of several is the mean of their changes', async () => {
    const { files, coordinator } = await start({ ...PLAIN, rounds: 1 });
    const before = await weightsOf(files);
    for (const value of [0.1, 0.2, 0.6])
      await coordinator.submit(await message(coordinator, constant(coordinator, value)));
    expectClose(
      await weightsOf(files),
      new Map(Array.from(before, ([name, values]) => [name, values.map((value) => value + 0.3)])),
    );
  });

  it('teaches what no client knows alone', async () => {
    const { files, coordinator, terms } = await start({ rounds: 30, clients: 4, serverRate: 0.05 });
    const local = trainer(device);
    const losses: number[] = [];
    while (!coordinator.info.done) {
      const { values } = decodeWeights(coordinator.message, coordinator.shapes);
      let sum = 0;
      for (let client = 0; client < terms.clients; client++) {
        // A third of the ring each.
        const made = await makeUpdate(local, values, { history: walk(3 * client, 5) }, terms, { seed: 1 });
        sum += made.loss / terms.clients;
        await coordinator.submit(await message(coordinator, made.update));
      }
      losses.push(sum);
    }
    expect(losses[0]).toBeGreaterThan(2.3);
    expect(losses.at(-1)).toBeLessThan(0.7);
    const { weights, config } = await loadModel(files);
    expect(weights).toMatchObject({ from: 'model', step: 30, metrics: null });
    expect(config.protocol).toBe('final');
    local.dispose();
  });

  it('of histories that are longer than a batch takes a step on each of their parts', async () => {
    const local = trainer(device);
    const { coordinator } = await start();
    const { values } = decodeWeights(coordinator.message, coordinator.shapes);
    const long = { history: walk(0, 300) };
    const [one, all] = [
      await local.train(values, long, { steps: 1, rate: 0.1, seed: 1 }),
      await local.train(values, long, { steps: 3, rate: 0.1, seed: 1 }),
    ];
    expect(normOf(all.change)).toBeGreaterThan(normOf(one.change));
    await expect(local.train(values, { history: walk(0, 1) }, { steps: 1, rate: 0.1, seed: 1 })).rejects.toThrow(
      'a client needs two events of known items at least, one to predict the other; got 1',
    );
    local.dispose();
  });
});

describe('an update that is refused', () => {
  const good = (coordinator: Coordinator): WeightValues => constant(coordinator, 0.01);
  const stamp = async (coordinator: Coordinator) => ({
    federation: coordinator.info.federation,
    ...(await coordinator.ticket(null)),
  });
  const withValue = (coordinator: Coordinator, value: number): WeightValues => {
    const values = good(coordinator);
    values.get('items.weight')![7] = value;
    return values;
  };
  const CASES: [string, RegExp, (c: Coordinator) => Promise<Uint8Array>][] = [
    ['NaN', /update: damaged: tensor items.weight holds NaN at 7/, (c) => message(c, withValue(c, Number.NaN))],
    ['infinity', /holds Infinity at 7/, (c) => message(c, withValue(c, Number.POSITIVE_INFINITY))],
    ['a huge norm', /^update: its norm is 1\.000e\+9, expected at most 1\.001$/, (c) => message(c, withValue(c, 1e9))],
    [
      'another shape',
      /tensor items.weight: expected F32 \[12, 8\], got F32 \[8, 12\]/,
      async (c) => encodeUpdate(good(c), new Map([...c.shapes, ['items.weight', [8, 12]]]), await stamp(c)),
    ],
    [
      'a missing parameter',
      /expected a tensor items.weight \[12, 8\], there is none/,
      (c) => message(c, new Map([...good(c)].filter(([name]) => name !== 'items.weight'))),
    ],
    [
      'one too many',
      /tensor extra: not one of this model's/,
      async (c) =>
        encodeUpdate(
          new Map([...good(c), ['extra', new Float32Array(1)]]),
          new Map([...c.shapes, ['extra', [1]]]),
          await stamp(c),
        ),
    ],
    [
      'compressed, to overflow',
      /tensor items.weight: expected F32, got a compressed one/,
      async (c) => {
        const tensors = new Map(Array.from(good(c), ([name, data]) => [name, { shape: c.shapes.get(name)!, data }]));
        const packed = PackedTensor.of([12, 8], good(c).get('items.weight')!, 'int8');
        const all = new Map<string, StoredTensor>([...tensors, ['items.weight', packed]]);
        return encode(all, metadataOf('update', JSON.stringify(await stamp(c))));
      },
    ],
    ['cut short', /cut short/, async (c) => (await message(c, good(c))).subarray(0, 3000)],
    ['no safetensors', /not a safetensors file|cut short/, async () => new TextEncoder().encode('{"history": ["i1"]}')],
    ['huge', /^update: \d+ bytes, expected at most \d+$/, async (c) => new Uint8Array(c.mostBytes + 1)],
    ['no stamp', /expected metadata called update, got none/, async (c) => c.message],
    [
      'a ticket of nobody',
      /its ticket is none of round 1/,
      async (c) => encodeUpdate(good(c), c.shapes, { ...(await stamp(c)), ticket: 'made up' }),
    ],
    [
      'another federation',
      /of another federation \(other\)/,
      async (c) => encodeUpdate(good(c), c.shapes, { ...(await stamp(c)), federation: 'other' }),
    ],
    [
      'a round to come',
      /of round 9; round 1 is open/,
      async (c) => encodeUpdate(good(c), c.shapes, { ...(await stamp(c)), round: 9 }),
    ],
  ];

  it.each(CASES)('%s leaves nothing behind', async (_, reason, make) => {
    const { files, coordinator } = await start({ clients: 1, rounds: 1 });
    const before = await files.list();
    await expect(coordinator.submit(await make(coordinator))).rejects.toThrow(reason);
    expect(coordinator.info).toMatchObject({ round: 1, received: 0 });
    expect((await files.list()).filter((name) => !/^round-000001\.jsonl$/.test(name))).toEqual(before);
    const honest = await start({ clients: 1, rounds: 1 });
    for (const one of [coordinator, honest.coordinator]) await one.submit(await message(one, good(one)));
    expect(await weightsOf(files)).toEqual(await weightsOf(honest.files));
  });

  it('late, sent twice, or replayed in a later round', async () => {
    const { coordinator } = await start({ clients: 2, rounds: 2 });
    const [late, first, second] = [
      await message(coordinator, good(coordinator)),
      await message(coordinator, good(coordinator)),
      await message(coordinator, good(coordinator)),
    ];
    const other = await stamp(coordinator);
    expect(await coordinator.submit(first)).toEqual({ round: 1, received: 1, closed: false });
    await expect(coordinator.submit(first)).rejects.toThrow('update: its ticket is used, and one update came with it');
    const same = decodeUpdate(first, coordinator.shapes).stamp;
    await expect(
      coordinator.submit(encodeUpdate(constant(coordinator, 0.02), coordinator.shapes, same)),
    ).rejects.toThrow('its ticket is used');
    expect(await coordinator.submit(second)).toEqual({ round: 1, received: 2, closed: true });
    await expect(coordinator.submit(late)).rejects.toThrow('update: of round 1; round 2 is open');
    await expect(coordinator.submit(second)).rejects.toThrow('update: of round 1; round 2 is open');
    for (const { ticket } of [same, other]) {
      const replayed = encodeUpdate(good(coordinator), coordinator.shapes, { ...same, round: 2, ticket });
      await expect(coordinator.submit(replayed)).rejects.toThrow('update: its ticket is none of round 2');
    }
    expect(coordinator.info).toMatchObject({ round: 2, received: 0 });
  });

  it('after the last round, and a ticket too', async () => {
    const { coordinator } = await start({ clients: 1, rounds: 1 });
    const bytes = await message(coordinator, good(coordinator));
    await coordinator.submit(bytes);
    for (const asked of [() => coordinator.submit(bytes), () => coordinator.ticket(null)])
      await expect(asked()).rejects.toThrow('all 1 rounds of this federation are over');
  });

  it('noise counts in the norm that is taken', async () => {
    const terms = checkTerms({ clients: 2, clip: 1, noise: 2 });
    expect(largestNorm(terms, 10_000)).toBeCloseTo(1.001 + Math.SQRT2 * 106, 6);
    const { coordinator } = await start({ clients: 2, noise: 2, rounds: 1 });
    const noised = (deviation: number) => {
      const values = constant(coordinator, 0);
      addNoise(values, deviation, bytesOf(3));
      return message(coordinator, values);
    };
    await coordinator.submit(await noised(noiseOf(terms)));
    await expect(coordinator.submit(await noised(2 * noiseOf(terms)))).rejects.toThrow(/its norm is/);
  });
});

describe('tickets', () => {
  it('are one a round for each name', async () => {
    const { coordinator } = await start({ clients: 2 });
    const first = await coordinator.ticket('ada');
    expect(await coordinator.ticket('ada')).toEqual(first);
    expect(await coordinator.ticket('bob')).not.toEqual(first);
    const { federation } = coordinator.info;
    const send = (ticket: { round: number; ticket: string }) =>
      coordinator.submit(encodeUpdate(constant(coordinator, 0.01), coordinator.shapes, { federation, ...ticket }));
    await send(first);
    await expect(coordinator.ticket('ada')).rejects.toThrow('ada has taken part in round 1');
    await send(await coordinator.ticket('bob'));
    expect((await coordinator.ticket('ada')).round).toBe(2);
  });
});

describe('a coordinator that is started again', () => {
  /** Files whose process is killed before the change number `at`. */
  class KilledFiles extends MemoryFiles {
    left = Number.POSITIVE_INFINITY;

    private count(): void {
      if (this.left-- <= 0) throw new Error('killed');
    }

    override async write(name: string, content: Content): Promise<void> {
      this.count();
      await super.write(name, content);
    }

    override async append(name: string, text: string): Promise<void> {
      this.count();
      await super.append(name, text);
    }

    override async remove(name: string): Promise<void> {
      this.count();
      await super.remove(name);
    }
  }

  const terms = checkTerms({ clients: 2, rounds: 2, trim: 0 });
  const values = (c: Coordinator, client: number, round: number): WeightValues =>
    constant(c, 0.001 * (client + 2 * round));

  /** Both rounds; a client whose update was not acknowledged sends it again. Kills after `kill` changes of files. */
  async function run(kill: number): Promise<{ weights: WeightValues; killed: boolean; names: string[] }> {
    const files = new KilledFiles('shared');
    await untrained(files);
    let coordinator = await Coordinator.open(files, terms);
    files.left = kill;
    let killed = false;
    const again = async <T>(work: () => Promise<T>): Promise<T | null> => {
      try {
        return await work();
      } catch (error) {
        if ((error as Error).message !== 'killed') throw error;
        killed = true;
        files.left = Number.POSITIVE_INFINITY;
        coordinator = await Coordinator.open(files, terms);
        return null;
      }
    };
    for (let round = 1; round <= 2; round++) {
      for (let client = 0; client < 2; client++) {
        while (coordinator.info.round === round) {
          const received = coordinator.info.received;
          if (received > client) break;
          const bytes = await again(() => message(coordinator, values(coordinator, client, round)));
          if (bytes) await again(() => coordinator.submit(bytes));
        }
      }
    }
    expect(coordinator.info.done).toBe(true);
    return { weights: await weightsOf(files), killed, names: await files.list() };
  }

  it('comes to the same weights wherever it was killed, and leaves nothing behind', async () => {
    const whole = await run(Number.POSITIVE_INFINITY);
    expect(whole.killed).toBe(false);
    let kill = 0;
    for (let killed = true; killed; kill++) {
      const found = await run(kill);
      killed = found.killed;
      expect(found.weights, `killed before change ${kill}`).toEqual(whole.weights);
      if (kill % 7 === 0) expect(found.names.filter((name) => name.startsWith('round-'))).toEqual([]);
    }
    expect(kill).toBeGreaterThan(15);
  });

  it('knows the tickets and the updates of the open round, and refuses other terms', async () => {
    const { files, coordinator, terms: own } = await start({ clients: 3 });
    const { federation } = coordinator.info;
    const [used, open] = [await coordinator.ticket('ada'), await coordinator.ticket('bob')];
    const update = (ticket: { round: number; ticket: string }) =>
      encodeUpdate(constant(coordinator, 0.01), coordinator.shapes, { federation, ...ticket });
    await coordinator.submit(update(used));
    const again = await Coordinator.open(files, own);
    expect(again.info).toEqual(coordinator.info);
    expect(again.message).toEqual(coordinator.message);
    await expect(again.submit(update(used))).rejects.toThrow('its ticket is used');
    await expect(again.ticket('ada')).rejects.toThrow('ada has taken part in round 1');
    expect(await again.ticket('bob')).toEqual(open);
    expect(await again.submit(update(open))).toMatchObject({ received: 2 });
    await expect(Coordinator.open(files, { ...own, clip: 3 })).rejects.toThrow(
      '`clip: 3`: shared: this federation was started with 1; continue it as it was started, or choose another folder',
    );
    expect((await Coordinator.open(files, { ...own, rounds: 9 })).info.terms.rounds).toBe(9);
  });

  it('says what is damaged', async () => {
    const { files, terms: own } = await start();
    const bytes = (await files.read('federation.safetensors')) as Uint8Array;
    await files.write('federation.safetensors', bytes.subarray(0, bytes.length - 10));
    await expect(Coordinator.open(files, own)).rejects.toThrow(/^shared\/federation\.safetensors: cut short/);
  });
});

it('closes early with enough updates alone', async () => {
  const { coordinator } = await start({ clients: 3, leastClients: 2, rounds: 1 });
  await coordinator.submit(await message(coordinator, constant(coordinator, 0.01)));
  expect(await coordinator.closeEarly(1)).toBe(false);
  await coordinator.submit(await message(coordinator, constant(coordinator, 0.01)));
  expect(await coordinator.closeEarly(2)).toBe(false);
  expect(await coordinator.closeEarly(1)).toBe(true);
  expect(coordinator.info).toMatchObject({ done: true, received: 0 });
  expect(await coordinator.closeEarly(2)).toBe(false);
});
