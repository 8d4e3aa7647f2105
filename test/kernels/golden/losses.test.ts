/** The losses that settings name against PyTorch (test/golden/make.py): values, and gradients of states and table. */
import { describe, it } from 'vitest';
import { HEADS } from '../../../model/heads/index.ts';
import { LOSSES } from '../../../model/heads/losses/index.ts';
import { ParameterBuilder } from '../../../model/nn/index.ts';
import { DEFAULTS, type Settings } from '../../../model/recipes/settings.ts';
import file from '../../golden/losses.json' with { type: 'json' };
import { backends } from '../devices.ts';
import { expectNear, Golden } from './golden.ts';

const golden = new Golden(file);
const { temperature, calibration, labelSmoothing } = file.config;
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

describe.each(backends)('losses of PyTorch on %s', (_, device) => {
  it.each(rows)('%s', async (name, settings, logq) => {
    const [h, table] = [golden.tensor(device, 'h', true), golden.tensor(device, 'table', true)];
    const batch = {
      targets: golden.ids(device, 'targets'),
      weights: golden.tensor(device, 'weights'),
      negatives: {
        ids: golden.ids(device, 'negatives'),
        groups: golden.groups(device, 'negatives'),
        targetGroups: golden.groups(device, 'targets'),
        logq: logq ? golden.tensor(device, logq) : null,
      },
    };
    const s = { ...DEFAULTS, ...settings };
    const head = HEADS.dot.create(new ParameterBuilder(), s);
    const loss = LOSSES[s.loss].forward({ ...batch, states: h, table, items: table.shape[0], head }, s);
    const tolerance = { abs: 2e-6, rel: 2e-5 };
    expectNear('loss', await loss.data(), golden.f32(`${name}.loss`), tolerance);
    loss.backward();
    await golden.expectGradient(`${name}.dH`, h, tolerance);
    await golden.expectGradient(`${name}.dTable`, table, tolerance);
  });
});
