/** The ranker with attribute tokens and an encoder of its own against PyTorch (test/golden/make.py): logits, every gradient. */
import { describe, expect, it } from 'vitest';
import { Inputs, type Tensor, transposeSparse } from '../../../engine/index.ts';
import { ListPacker, type ListRoom, listSpec, listTokens, sizeOfLists } from '../../../model/ranker/lists.ts';
import { Ranker } from '../../../model/ranker/ranker.ts';
import { rankerShapeOf } from '../../../model/ranker/store.ts';
import { settingsFor } from '../../../model/recipes/recipes.ts';
import { SequenceModel } from '../../../model/encoders/sequence-model.ts';
import file from '../../golden/ranker.json' with { type: 'json' };
import { expectNear, Golden } from './golden.ts';
import { openDevice } from '../../device.ts';

const golden = new Golden(file);
const { config } = file;
const { items, lists, rows, budget, used } = config;

/** S, of the dense matrix that PyTorch multiplied by. */
const attributes = () => ({ rows, bags: golden.sparse('bags'), of: config.of.map((own) => Uint32Array.from(own)) });

const settings = (mutual: boolean) =>
  settingsFor('sasrec', {
    d: `${config.d}`,
    heads: `${config.heads}`,
    ff: `${config.ff}`,
    blocks: '1',
    window: `${config.window}`,
    budget: `${budget}`,
    dropout: '0',
    rankerDropout: '0',
    rankerHeads: `${config.heads}`,
    rankerEncoder: 'own',
    rankerBlocks: `${config.blocks}`,
    rankerItems: 'attributes',
    rankerMutual: mutual ? 'on' : 'off',
  });

for (const backend of ['cpu', 'wasm', 'webgpu'] as const) {
  describe(`the ranker as in PyTorch on ${backend}`, async () => {
    const device = await openDevice({ backend });

    it.each(['plain', 'mutual'])('%s', async (name) => {
      const mutual = name === 'mutual';
      const s = settings(mutual);
      const own = SequenceModel.create(device, s, items, 1);
      const about = {
        items,
        known: items,
        attributes: attributes(),
        own,
        table: new Float32Array(items * s.d),
        seed: 1,
      };
      const ranker = new Ranker(device, rankerShapeOf(s), about);
      own.parameters.load('params', golden.values(own.parameters.names, 'parameters.encoder.'));
      ranker.parameters.load('params', golden.values(ranker.parameters.names, 'parameters.'));
      const copies = mutual ? 12 : 0;
      const size = sizeOfLists(
        lists.map(({ candidates }) => candidates),
        ranker.vocabulary,
      );
      // Room to spare, so that what is left free adds nothing.
      const room: ListRoom = {
        tokens: budget,
        candidates: 12,
        rows: size.rows + 5,
        entries: size.entries + 3,
        training: true,
        states: mutual ? config.states : 0,
        copies,
      };
      const inputs = new Inputs(device, listSpec(room));
      expect(new ListPacker(room, ranker.vocabulary, inputs.host).pack(lists)).toBe(3);
      inputs.upload();
      const t = (key: string) => device.tensor(golden.u32(`batch.${key}`));
      const groups = (key: string) => golden.groups(device, `batch.${key}`, used);
      const encoder = { items: t('items'), positions: t('positions'), start: t('start'), end: t('end') };
      const grouped = { itemGroups: groups('items'), positionGroups: groups('positions') };
      const { candidateGroups, atGroups, tokenGroups, positionGroups, copyGroups } = inputs.tensors;
      const [frozen, table] = ['frozen', 'table'].map((key) => golden.tensor(device, key));
      const { logits } = ranker.logits(
        frozen,
        table,
        { encoder, ...listTokens(inputs.tensors, room) },
        {
          encoder: { ...encoder, ...grouped, targets: t('targets'), weights: t('items') },
          candidates: candidateGroups as Tensor,
          at: atGroups as Tensor,
          tokens: tokenGroups as Tensor,
          positions: positionGroups as Tensor,
          copies: copyGroups,
        },
      );
      const tolerance = { abs: 5e-5, rel: 2e-4 };
      expectNear('logits', (await logits.data()).subarray(0, 9), golden.f32(`${name}.logits`), tolerance);
      const weights = new Float32Array(12);
      weights.set(golden.f32('weights'));
      device.tape.backwardFrom(logits, () => device.tensor(weights));
      for (const [arena, prefix] of [[ranker.parameters, ''] as const, [own.parameters, 'encoder.'] as const])
        for (const key of arena.names)
          await golden.expectGradient(`${name}.gradients.${prefix}${key}`, arena.get(key), tolerance);
      inputs.dispose();
      ranker.dispose();
    });
  });
}

it('a list for which there is no room is left out', () => {
  const vocabulary = { attributes: attributes(), base: items };
  const room = { tokens: 12, candidates: 12, rows: 9, entries: 40, states: 0, copies: 0, training: true };
  const host = Object.fromEntries(
    Object.entries(listSpec(room)).map(([key, { shape, dtype }]) => {
      return [key, dtype === 'f32' ? new Float32Array(shape[0]) : new Uint32Array(shape[0])];
    }),
  ) as unknown as Inputs<ReturnType<typeof listSpec>>['host'];
  expect(new ListPacker(room, vocabulary, host).pack(lists)).toBe(1);
  // Candidates 3, 1 and 8, then their tokens 0, 2 and 3, each once.
  expect([...host.tokens]).toEqual([3, 1, 8, 9, 11, 12, 0, 0, 0]);
  expect([...host.start.subarray(0, 6), ...host.end.subarray(0, 6)]).toEqual([
    ...Array(6).fill(0),
    ...Array(6).fill(3),
  ]);
  const turned = transposeSparse(
    {
      starts: host.poolStarts as Uint32Array,
      columns: (host.poolColumns as Uint32Array).subarray(0, 8),
      values: host.poolValues as Float32Array,
    },
    9,
  );
  expect(host.transposedStarts).toEqual(turned.starts);
});
