/** The mixture-of-logits head against PyTorch (test/golden/make.py): loss, gradients, scores of the catalog. */
import { describe, expect, it } from 'vitest';
import { ShardedTable } from '../../../engine/index.ts';
import { settingsFor } from '../../../model/recipes/recipes.ts';
import { SequenceModel } from '../../../model/encoders/sequence-model.ts';
import { LOSSES } from '../../../model/heads/losses/index.ts';
import file from '../../golden/mixture.json' with { type: 'json' };
import { backends } from '../devices.ts';
import { expectNear, Golden } from './golden.ts';

const golden = new Golden(file);
const { D, V, N, molUser, molItem, molWidth, molGate, temperature } = file.config;
const text = (of: Record<string, number>) => Object.entries(of).map(([key, value]) => [key, String(value)]);
const settings = settingsFor('hstu', {
  ...Object.fromEntries(text({ d: D, molUser, molItem, molWidth, molGate, temperature, negatives: N })),
  head: 'mol',
  blocks: '1',
});
const tolerance = { abs: 2e-5, rel: 2e-4 };

describe.each(backends)('the mixture of logits of PyTorch on %s', (_, device) => {
  function load() {
    const model = SequenceModel.create(device, settings, V, 1);
    for (const name of model.parameters.names)
      if (name.startsWith('head.')) device.write(model.parameters.get(name), golden.f32(`parameters.${name}`));
    const [h, table] = ['h', 'table'].map((name) => golden.tensor(device, name, true));
    return { model, head: model.head, h, table };
  }

  it('loss and gradients', async () => {
    const { model, head, h, table } = load();
    const batch = {
      targets: golden.ids(device, 'targets'),
      weights: golden.tensor(device, 'weights'),
      negatives: {
        ids: golden.ids(device, 'negatives'),
        groups: golden.groups(device, 'negatives'),
        targetGroups: golden.groups(device, 'targets'),
        logq: null,
      },
    };
    const loss = LOSSES[settings.loss].forward({ ...batch, states: h, table, items: table.shape[0], head }, settings);
    expectNear('loss', await loss.data(), golden.f32('loss'), tolerance);
    loss.backward();
    await golden.expectGradient('dH', h, tolerance);
    await golden.expectGradient('dTable', table, tolerance);
    const names = model.parameters.names.filter((name) => name.startsWith('head.'));
    expect(names.length).toBe(14);
    for (const name of names) await golden.expectGradient(`gradients.${name}`, model.parameters.get(name), tolerance);
    model.dispose();
  });

  it.each(['whole', 'in shards'])('scores of a catalog that lies %s, and of its tiles', async (kind) => {
    const { model, head, h, table } = load();
    const items =
      kind === 'whole' ? table : new ShardedTable([table.detach().rows(0, 64), table.detach().rows(64, V)], 'items');
    const scores = (from: number, to: number) => device.noGrad(() => head.scores(h, items, from, to)).data();
    const all = golden.f32('scores');
    expectNear('scores', await scores(0, V), all, tolerance);
    const tail = all.filter((_, i) => i % V >= 64);
    expectNear('tail', await scores(64, V), tail, tolerance);
    model.dispose();
  });
});
