import { describe, expect, it } from 'vitest';
import { parametersOf } from '../../model/encoders/network.ts';
import { checkSettings, type Settings } from '../../model/recipes/settings.ts';
import { recipes, settingsFor } from '../../model/recipes/recipes.ts';

const MOL = { head: 'mol', loss: 'sampled-softmax', similarity: 'cosine' };

describe('recipes', () => {
  it('head=mol adds parameters after those of the same model without it, which keep their values', () => {
    const specs = (set: Record<string, string>) => parametersOf(settingsFor('hstu', set), 30).specs(1);
    const [plain, mol] = [specs({}), specs({ head: 'mol' })];
    expect(mol.slice(0, plain.length)).toEqual(plain);
    expect(mol.slice(plain.length).every(({ name }) => name.startsWith('head.'))).toBe(true);
    expect(mol.length).toBe(plain.length + 14);
  });

  it.each([...recipes.keys()])('%s has settings that make a model, and cites its paper', (name) => {
    const recipe = recipes.get(name);
    expect(settingsFor(name)).toEqual(recipe?.settings);
    expect(recipe?.paper).toMatch(/20\d\d/);
    const specs = parametersOf(settingsFor(name), 30).specs(1);
    expect(new Set(specs.map((s) => s.name)).size).toBe(specs.length);
    for (const { shape, init } of specs) expect(init.length).toBe(shape.reduce((a, b) => a * b, 1));
    expect(parametersOf(settingsFor(name), 30).count).toBe(specs.reduce((sum, { init }) => sum + init.length, 0));
  });

  it('gives settings that a folder of an earlier version lacks the meaning that they had then', () => {
    // What config.json of 0.1.0 held.
    const old = {
      d: 16,
      ff: 32,
      blocks: 1,
      heads: 1,
      dropout: 0.2,
      window: 8,
      learningRate: 1e-3,
      activation: 'gelu' as const,
      weightDecay: 0.01,
      clip: 1,
      budget: 64,
      patience: 10,
      validateUsers: 2000,
      validateSteps: 0,
    } satisfies Partial<Settings>;
    const settings = checkSettings(old);
    expect(settings).toMatchObject({ ...old, norm: 'pre', block: 'transformer', direction: 'causal', loss: 'softmax' });
    expect(parametersOf(settings, 30).declared.map((s) => s.name)).toEqual([
      ...['items.weight', 'positions.weight'],
      ...['norm1.weight', 'norm1.bias', 'attention.qkv.weight', 'attention.qkv.bias'].map((n) => `blocks.0.${n}`),
      ...['attention.out.weight', 'attention.out.bias', 'norm2.weight', 'norm2.bias'].map((n) => `blocks.0.${n}`),
      ...['ffn.up.weight', 'ffn.up.bias', 'ffn.down.weight', 'ffn.down.bias'].map((n) => `blocks.0.${n}`),
      ...['norm.weight', 'norm.bias'],
    ]);
  });

  it.each([
    [{ precision: 'f16' }, /precision: f16`: expected f32 or mixed/],
    [{ norm: 'after' }, /norm: after`: expected pre, post, query or rms/],
    [{ block: 'ligr', norm: 'post' }, /block: ligr`: requires `settings.norm: pre`$/],
    [{ norm: 'query', activation: 'swiglu' }, /activation: swiglu`: norm=query/],
    [{ activation: 'swiglu', ff: '30' }, /ff: 30`: swiglu requires/],
    [{ maskShare: '0' }, /maskShare: 0`/],
    [{ direction: 'bidirectional', window: '1' }, /window: 1`: a bidirectional model/],
    [{ head: 'mol' }, /^`settings.head: mol`: requires `settings.similarity: cosine`$/],
    [{ head: 'mol', similarity: 'cosine' }, /^`settings.head: mol`: requires a loss over samples/],
    [{ ...MOL, direction: 'bidirectional' }, /^`settings.loss: sampled-softmax`: the cloze task/],
    [{ loss: 'bce', labelSmoothing: '0.1' }, /^`settings.labelSmoothing: 0.1`: requires `settings.loss: softmax`$/],
    [
      { items: 'tower', direction: 'bidirectional' },
      /^`settings.items: tower`: requires `settings.direction: causal`$/,
    ],
    [{ block: 'recurrent', bias: 'time' }, /block: recurrent`: requires `settings.bias: none`$/],
    [{ block: 'recurrent', positions: 'rotary' }, /^`settings.positions: rotary`: block=recurrent has no attention/],
    [{ decoder: '1', block: 'hstu' }, /^`settings.decoder: 1`: requires `settings.block: transformer`$/],
    [{ ...MOL, molItem: '3' }, /^`settings.molItem: 3`: expected a multiple of 4/],
    [{ ...MOL, molUser: '20' }, /^`settings.molUser: 20`: molUser · molItem = 80, at most 64/],
    [{ d: '50' }, /d: 50|d\/heads = 50/],
  ])('refuses %j in one line', (settings, message) => {
    expect(() => settingsFor('sasrec', settings as unknown as Record<string, string>)).toThrow(message);
  });
});
