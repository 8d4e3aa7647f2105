/** The losses that settings name against PyTorch (test/golden/make.py): values, and gradients of states and table. */
import { describe, expect, it } from 'vitest';
import { groupRows, type Tensor } from '../../../engine/index.ts';
import { HEADS } from '../../../model/heads/index.ts';
import { LOSSES } from '../../../model/heads/losses/index.ts';
import { ParameterBuilder } from '../../../model/nn/index.ts';
import { DEFAULTS, type Settings } from '../../../model/recipes/settings.ts';
import golden from '../../golden/losses.json' with { type: 'json' };
import { both } from '../devices.ts';
import { firstMismatch } from '../harness.ts';

const { tensors, config } = golden as {
  tensors: Record<string, { shape: number[]; data: number[] }>;
  config: typeof golden.config;
};
const { temperature, calibration, labelSmoothing } = config;
const cosine = { similarity: 'cosine', temperature } as const;

const rows: [string, Partial<Settings>, string?][] = [
  ['labelSmoothing', { labelSmoothing }],
  ['cosine', cosine],
  ['sampledSoftmax', { loss: 'sampled-softmax' }],
  ['corrected', { loss: 'sampled-softmax' }, 'logq'],
  ['sampledCosine', { loss: 'sampled-softmax', ...cosine }],
  ['bce', { loss: 'bce' }],
  ['gbce', { loss: 'gbce', calibration }],
  ['bpr', { loss: 'bpr' }],
];

describe.each(both)('losses of PyTorch on %s', (_, open) => {
  it.each(rows)('%s', async (name, settings, logq) => {
    const device = open();
    const load = (key: string, requiresGrad = false): Tensor =>
      device.tensor(tensors[key].data, tensors[key].shape, { label: key, requiresGrad });
    const whole = (key: string) => Uint32Array.from(tensors[key].data);
    const grouped = (ids: Uint32Array): Tensor => device.tensor(groupRows(ids, ids.length, ids.length).data);
    const [h, table] = [load('h', true), load('table', true)];
    const batch = {
      targets: device.tensor(whole('targets')),
      weights: load('weights'),
      negatives: {
        ids: device.tensor(whole('negatives'), tensors.negatives.shape),
        groups: grouped(whole('negatives')),
        targetGroups: grouped(whole('targets')),
        logq: logq ? load(logq) : null,
      },
    };
    const s = { ...DEFAULTS, ...settings };
    const head = HEADS.dot.create(new ParameterBuilder(), s);
    const loss = LOSSES[s.loss].forward({ ...batch, states: h, table, head }, s);
    const tolerance = { abs: 2e-6, rel: 2e-5 };
    const expected = (key: string) => Float32Array.from(tensors[`${name}.${key}`].data);
    expect(firstMismatch('loss', await loss.data(), expected('loss'), tolerance)).toBeNull();
    loss.backward();
    for (const [key, t] of [
      ['dH', h],
      ['dTable', table],
    ] as const)
      expect(firstMismatch(key, await (t.grad as Tensor).data(), expected(key), tolerance)).toBeNull();
  });
});
