/** Continuations that read users and events, and with transitions: each step against the ranking of what stands so far. */
import { describe, expect, it } from 'vitest';
import { seeded } from '../../data/random.ts';
import { concatRows, packBags, type SideFeatureRows } from '../../data/features/side-rows.ts';
import { Generator } from '../../model/inference/generator.ts';
import { DeviceTransitions } from '../../model/transitions/transitions.ts';
import { parametersOf } from '../../model/encoders/network.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import { Scorer } from '../../model/inference/scorer.ts';
import type { ScorerOptions } from '../../model/inference/scored.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { openDevice } from '../device.ts';
import { set } from '../set.ts';

const [ITEMS, SIDE, STEPS] = [40, 6, 4];
const HISTORIES = [[3, 1, 4, 15, 9, 2], [5]].map((h) => Uint32Array.from(h));

for (const backend of ['cpu', 'webgpu'] as const) {
  describe(`generation on ${backend}`, async () => {
    const device = await openDevice({ backend });

    it.each([
      ['side columns', true, false],
      ['transitions', false, true],
      ['both', true, true],
    ])('with %s', async (_, reads, remembers) => {
      const settings = settingsFor('sasrec', set('d=16 ff=24 heads=2 blocks=2 window=12 budget=64'));
      const side = reads ? SIDE : 0;
      const model = SequenceModel.create(device, settings, ITEMS, null, { side });
      const random = seeded(4, 0);
      const specs = parametersOf(settings, ITEMS, { side }).specs(5);
      const scale = (name: string) => (name.endsWith('.weight') && !name.includes('norm') ? 20 : 1);
      model.parameters.load(
        'params',
        new Map(
          specs.map(({ name, init }) => [name, Float32Array.from(init, (x) => (x || random.next()) * scale(name))]),
        ),
      );
      const starts = Uint32Array.from({ length: ITEMS + 1 }, (__, i) => i * ITEMS);
      const rows = {
        starts,
        columns: Uint32Array.from({ length: ITEMS ** 2 }, (__, i) => i % ITEMS),
        values: Float32Array.from({ length: ITEMS ** 2 }, () => random.next()),
      };
      const transitions = new DeviceTransitions(device, {
        settings: { method: 'exact', last: 5, power: 0.7, lambda: 1, kept: ITEMS },
        rows,
      });
      const blend: ScorerOptions['blend'] = remembers
        ? { transitions: transitions, weights: { memory: 2, epsilon: 0.01 } }
        : null;
      const bag = (row: number): SideFeatureRows => packBags([[[row, 1]]]);
      const sideOf = (events: readonly number[]) =>
        reads ? events.map((__, i) => bag(i % SIDE)).reduce((a, b) => concatRows(a, b)) : undefined;
      const next = reads ? bag(SIDE - 1) : undefined;

      const generator = new Generator(model, { steps: STEPS }, blend);
      const answers = await generator.generate(
        HISTORIES.map((history) => ({ history, exclude: history, features: sideOf([...history]), next })),
      );
      generator.dispose();
      const scorer = new Scorer(model, { k: 1, blend });
      for (const [i, { items, logs }] of answers.entries()) {
        expect(items).toHaveLength(STEPS);
        for (const [step, item] of items.entries()) {
          const before = items.slice(0, step);
          const own = sideOf([...HISTORIES[i]]);
          const features = own && next ? before.reduce((rows) => concatRows(rows, next), own) : undefined;
          const history = Uint32Array.from([...HISTORIES[i], ...before]);
          const [best] = await scorer.score([{ history, features: features, exclude: history }]);
          expect(best.items[0]).toBe(item);
          expect(logs[step]).toBeLessThan(0);
        }
      }
      scorer.dispose();
      if (reads) {
        const again = new Generator(model, { steps: 2 });
        const blind = again.generate([{ history: HISTORIES[0] }]);
        await expect(blind).rejects.toThrow(
          'this model reads side features: expected those of 6 events, got those of 0',
        );
        again.dispose();
      }
      transitions.dispose();
      model.dispose();
    });
  });
}
