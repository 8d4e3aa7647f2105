/** What the ranker reads: attributes of candidates, no other position's candidates; and what its file must hold. */
import { describe, expect, it } from 'vitest';
import { encodeItems } from '../../data/features/encoder.ts';
import { itemTokens } from '../../data/features/item-tokens.ts';
import { inferSchema } from '../../data/features/schema.ts';
import type { Split } from '../../data/splits/split.ts';
import { Inputs } from '../../engine/index.ts';
import { addItems } from '../../model/storage/add-items.ts';
import type { MemoryFiles } from '../../model/storage/files.ts';
import { type Item, loadConfig } from '../../model/storage/config.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { packModel } from '../../model/storage/pack.ts';
import { type List, ListPacker, type ListRoom, listSpec, listTokens } from '../../model/ranker/lists.ts';
import { Ranker } from '../../model/ranker/ranker.ts';
import { commit, Snapshot } from '../../model/storage/manifest.ts';
import { loadRanker, RANKER_FILE, rankerOf, rankerShapeOf, type StoredRanker } from '../../model/ranker/store.ts';
import type { Settings } from '../../model/recipes/settings.ts';
import { decode, encodePieces } from '../../model/storage/safetensors.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { Recommender } from '../../recommend/recommender.ts';
import { cpu, gpu as device } from '../kernels/devices.ts';
import { folderOf, smallRanker, splitOf } from './small.ts';
import { trainStages } from './stages.ts';

const KINDS = 4;
const ITEMS = 96;

/** What comes next is any item of the kind of the one before: so many items, so few events that kinds alone can tell. */
function kinds(users: number): { split: Split; items: Item[] } {
  const item = (u: number, i: number) => (u % KINDS) + KINDS * ((u * 7 + i * i * 5 + i * (u % 11)) % (ITEMS / KINDS));
  const histories = Array.from({ length: users }, (_, u) => Array.from({ length: 10 }, (_, i) => item(u, i)));
  const split = splitOf(histories, ITEMS);
  const items = split.dataset.itemIds.map((id): Item => {
    return { id, title: id, attributes: { kind: `kind ${Number(id.slice(1)) % KINDS}` } };
  });
  return { split, items };
}

const chosen = (set: Record<string, string> = {}): Settings =>
  smallRanker({ rankerCandidates: '96', rankerNegatives: '12', rankerValidate: '20', ...set });

async function train(settings: Settings): Promise<MemoryFiles> {
  const { split, items } = kinds(60);
  const schema = settings.items === 'tower' ? inferSchema(items) : null;
  const files = await folderOf(split, settings, { items, schema });
  await trainStages({ device, files, split, settings, epochs: 1 });
  return files;
}

describe('attributes of candidates', () => {
  it('reach the logits where nothing else tells the candidates apart', async () => {
    const ndcg: Record<string, number> = {};
    for (const rankerItems of ['attributes', 'ids'] as const) {
      const { ranker } = await loadModel(await train(chosen({ rankerItems })));
      ndcg[rankerItems] = ranker?.stages.fitted.both['NDCG@10'] ?? expect.fail('no ranker');
      expect(ranker?.schema?.columns.map(({ name }) => name)).toEqual(rankerItems === 'ids' ? undefined : ['kind']);
    }
    // Ten of the 24 items of a kind give .19 on average, ten of all 96 give .05.
    expect(ndcg.attributes).toBeGreaterThan(0.15);
    expect(ndcg.attributes).toBeGreaterThan(ndcg.ids + 0.03);
  });

  it('are in the file, with an encoder of its own, so that a packed model and added items are ranked', async () => {
    const set = { items: 'tower', rankerItems: 'attributes', rankerEncoder: 'own', rankerMutual: 'on', heads: '1' };
    const files = await train(chosen(set));
    await addItems(files, [{ id: 'new', title: 'new', attributes: { kind: 'kind 1' } }]);
    const { ranker, weights } = await loadModel(files);
    expect(weights.note).toBeNull();
    const bytes = (await (await Snapshot.open(files)).read(RANKER_FILE)) as Uint8Array;
    // As if it had gained more than by chance, so that it is put to work.
    const { tensors } = decode(bytes, 'ranker');
    const { shape, schema, stages } = ranker as StoredRanker;
    // Nor did every earlier version know this setting.
    const { rankerHeads: _, ...older } = shape;
    const metadata = { shape: older, schema, stages: { ...stages, weight: 1 } };
    const about = new Map(Object.entries(metadata).map(([key, value]) => [key, JSON.stringify(value)]));
    await commit(files, { [RANKER_FILE]: encodePieces(tensors, about) });
    const query = { history: ['i1', 'i5', 'i9'], k: 100 };
    const recommender = await Recommender.load(files, { device });
    const { items } = await recommender.recommend(query);
    recommender.close();
    const added = items.find(({ id }) => id === 'new') ?? expect.fail('the added item is not ranked');
    expect(added.probability).toBeGreaterThan(0);
    const packed = await Recommender.load(new Blob((await packModel(files)) as Uint8Array<ArrayBuffer>[]), { device });
    expect((await packed.recommend(query)).items).toEqual(items);
    packed.close();

    // What is missing is said in one line.
    const loaded = await loadModel(files);
    const torn = new Map([...tensors].filter(([name]) => name !== 'encoder.norm.weight'));
    const standing = { settings: chosen(set), items: loaded.items, features: loaded.features };
    const tear = () => rankerOf(device, { ...(loaded.ranker as StoredRanker), tensors: torn }, standing);
    expect(tear).toThrow(
      /ranker-\d+\.safetensors \(its own encoder\): expected a tensor norm\.weight \[16\], there is none/,
    );
    about.delete('schema');
    await commit(files, { [RANKER_FILE]: encodePieces(tensors, about) });
    await expect(loadRanker(files, loaded.items.length - 1, chosen(set))).rejects.toThrow(
      "damaged (the schema of the items' attributes",
    );
    expect((await loadConfig(files)).schema.items?.columns).toHaveLength(1);
  });
});

describe('lists of candidates', () => {
  const { items } = kinds(60);
  const settings = chosen({ rankerItems: 'attributes', rankerMutual: 'on', rankerStates: '3', rankerEncoder: 'own' });

  it('of one position read nothing of a later one, nor of its candidates', async () => {
    const attributes = itemTokens(encodeItems(inferSchema(items), items));
    const own = SequenceModel.create(cpu, settings, ITEMS, 3);
    const about = { items: ITEMS, known: ITEMS, attributes, own, table: await own.itemTable(), seed: 5 };
    const ranker = new Ranker(cpu, rankerShapeOf(settings), about);
    const weights = await ranker.parameters.read();
    weights.get('sought.weight')?.forEach((_, i, all) => (all[i] = Math.sin(i)));
    ranker.parameters.load('params', weights);
    await ranker.refresh();
    const room: ListRoom = {
      tokens: 8,
      candidates: 6,
      rows: 24,
      entries: 24,
      states: 3,
      copies: 6,
      training: false,
    };
    const run = async (history: number[], lists: List[]): Promise<number[]> => {
      const inputs = new Inputs(cpu, listSpec(room));
      expect(new ListPacker(room, ranker.vocabulary, inputs.host).pack(lists)).toBe(lists.length);
      inputs.upload();
      const u32 = (of: (i: number) => number) => cpu.tensor(Uint32Array.from({ length: 8 }, (_, i) => of(i)));
      const encoder = { items: u32((i) => history[i] ?? 0), positions: u32((i) => i), start: u32(() => 0) };
      const tokens = { encoder: { ...encoder, end: u32(() => history.length) }, ...listTokens(inputs.tensors, room) };
      const { logits } = cpu.noGrad(() => ranker.logits(cpu.zeros([8, 16]), own.table, tokens));
      return [...(await logits.data())];
    };
    const first = { candidates: [7, 20, 33], row: 3, start: 0 };
    const both = await run([1, 2, 3, 4, 5, 6, 7], [first, { candidates: [8, 9, 10], row: 6, start: 0 }]);
    const other = await run([1, 2, 3, 4, 9, 8, 11], [first, { candidates: [40, 41, 43], row: 6, start: 0 }]);
    const alone = await run([1, 2, 3, 4], [first]);
    expect(both.slice(0, 3)).toEqual(other.slice(0, 3));
    expect(both.slice(0, 3)).toEqual(alone.slice(0, 3));
    expect(both.slice(3)).not.toEqual(other.slice(3));
    // States read candidates: another one in the list changes the others' logits.
    const swapped = await run([1, 2, 3, 4], [{ ...first, candidates: [7, 20, 34] }]);
    expect(swapped[0]).not.toBe(alone[0]);
    ranker.dispose();
  });

  it('hold a token that several of their candidates have once', () => {
    const described = ['a', 'a', 'b'].map((kind, i) => ({ id: `${i}`, title: `${i}`, attributes: { kind } }));
    const { of, bags } = itemTokens(encodeItems(inferSchema(described), described));
    expect(of.map((own) => [...own])).toEqual([[0], [0], [1]]);
    expect(bags.starts).toHaveLength(3);
  });
});
