/** The mixture-of-logits head against PyTorch (test/golden/make.py): loss, gradients, scores of the catalog. */
import { describe, expect, it } from 'vitest';
import { type Device, groupRows, ShardedTable, type Tensor } from '../../../engine/index.ts';
import { settingsFor } from '../../../model/recipes/recipes.ts';
import { SequenceModel } from '../../../model/encoders/sequence-model.ts';
import type { Head } from '../../../model/heads/head.ts';
import { LOSSES } from '../../../model/heads/losses/index.ts';
import golden from '../../golden/mixture.json' with { type: 'json' };
import { both } from '../devices.ts';
import { firstMismatch } from '../harness.ts';

const { config } = golden;
const tensors = golden.tensors as Record<string, { shape: number[]; data: number[] }>;
const values = (key: string): Float32Array => Float32Array.from(tensors[key].data);
const { D, V, N, molUser, molItem, molWidth, molGate, temperature } = config;
const text = (of: Record<string, number>) => Object.entries(of).map(([key, value]) => [key, String(value)]);
const settings = settingsFor('hstu', {
  ...Object.fromEntries(text({ d: D, molUser, molItem, molWidth, molGate, temperature, negatives: N })),
  head: 'mol',
  blocks: '1',
});
const tolerance = { abs: 2e-5, rel: 2e-4 };

describe.each(both)('the mixture of logits of PyTorch on %s', (_, open) => {
  function load(): { device: Device; model: SequenceModel; head: Head; h: Tensor; table: Tensor } {
    const device = open();
    const model = SequenceModel.create(device, settings, V, 1);
    for (const name of model.parameters.names)
      if (name.startsWith('head.')) device.write(model.parameters.get(name), values(`parameters.${name}`));
    const leaf = (key: string) => device.tensor(values(key), tensors[key].shape, { label: key, requiresGrad: true });
    return { device, model, head: model.head, h: leaf('h'), table: leaf('table') };
  }

  it('loss and gradients', async () => {
    const { device, model, head, h, table } = load();
    const whole = (key: string) => Uint32Array.from(tensors[key].data);
    const grouped = (ids: Uint32Array): Tensor => device.tensor(groupRows(ids, ids.length, ids.length).data);
    const batch = {
      targets: device.tensor(whole('targets')),
      weights: device.tensor(values('weights')),
      negatives: {
        ids: device.tensor(whole('negatives'), tensors.negatives.shape),
        groups: grouped(whole('negatives')),
        targetGroups: grouped(whole('targets')),
        logq: null,
      },
    };
    const loss = LOSSES[settings.loss].forward({ ...batch, states: h, table, head }, settings);
    expect(firstMismatch('loss', await loss.data(), values('loss'), tolerance)).toBeNull();
    loss.backward();
    for (const [key, t] of [
      ['dH', h],
      ['dTable', table],
    ] as const)
      expect(firstMismatch(key, await (t.grad as Tensor).data(), values(key), tolerance)).toBeNull();
    const names = model.parameters.names.filter((name) => name.startsWith('head.'));
    expect(names.length).toBe(14);
    for (const name of names) {
      const { grad } = model.parameters.get(name);
      expect(firstMismatch(name, await (grad as Tensor).data(), values(`gradients.${name}`), tolerance)).toBeNull();
    }
    model.dispose();
  });

  it.each(['whole', 'in shards'])('scores of a catalog that lies %s, and of its tiles', async (kind) => {
    const { device, model, head, h, table } = load();
    const items =
      kind === 'whole' ? table : new ShardedTable([table.detach().rows(0, 64), table.detach().rows(64, V)], 'items');
    const scores = (from: number, to: number): Promise<ArrayLike<number>> =>
      device.noGrad(() => head.scores(h, items, from, to)).data();
    const all = values('scores');
    expect(firstMismatch('scores', (await scores(0, V)) as Float32Array, all, tolerance)).toBeNull();
    const tail = all.filter((_, i) => i % V >= 64);
    expect(firstMismatch('tail', (await scores(64, V)) as Float32Array, tail, tolerance)).toBeNull();
    model.dispose();
  });
});
