/**
 * Weights that are broken give no answer: where NaN or infinity is stored, loading says so; where finite weights overflow
 * on the way, each path that hands out a number says so. And no metric profits from what is not a number.
 */
import { describe, expect, it } from 'vitest';
import { InputError } from '../../data/errors.ts';
import { inferSchema } from '../../data/features/schema.ts';
import { sideFeatureRows } from '../../data/features/event-encoder.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import { loadConfig } from '../../model/storage/config.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { AttentionProbe } from '../../model/inference/attention-maps.ts';
import { HostTransitions } from '../../model/transitions/relative-score.ts';
import { MEMORY, type ItemTransitions } from '../../model/transitions/transitions.ts';
import { Ranker } from '../../model/ranker/ranker.ts';
import { RANKER_FILE, saveRanker, rankerShapeOf } from '../../model/ranker/store.ts';
import { rankAmong } from '../../model/inference/ranks.ts';
import { decode, encode } from '../../model/storage/safetensors.ts';
import { Scorer } from '../../model/inference/scorer.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { commit, type Part, Snapshot } from '../../model/storage/manifest.ts';
import { rankBy } from '../../model/ranker/two-stages.ts';
import { saveSegmentPrior, USERS } from '../../model/transitions/segment-prior.ts';
import { Explainer } from '../../recommend/explanations/explain.ts';
import { RankingModel, settingsOf } from '../../model/inference/ranking-model.ts';
import { Recommender } from '../../recommend/recommender.ts';
import { RatingPredictor } from '../../recommend/rating-predictor.ts';
import { evaluate } from '../../train/evaluation/evaluate.ts';
import { RankMetrics } from '../../train/evaluation/metrics.ts';
import { evaluateBaseline } from '../../train/evaluation/ranking.ts';
import { ratingReport } from '../../train/ratings/report.ts';
import { trainRatingModel } from '../../train/ratings/train-rating-model.ts';
import { idOf, smallModel } from './model.fixture.ts';
import { splitOf } from '../train/small.ts';
import { openDevice } from '../device.ts';

const HUGE = 3e38;
const MODEL = 'model.safetensors';
const history = [3, 9, 4, 11].map(idOf);

const stored = async (files: MemoryFiles, part: Part) => (await (await Snapshot.open(files)).read(part)) as Uint8Array;

/** Replaces the values of one tensor of a stored file. */
async function poison(files: MemoryFiles, file: Part, tensor: string, value: number): Promise<MemoryFiles> {
  const { tensors, metadata } = decode(await stored(files, file));
  const data = tensors.get(tensor)?.data;
  if (!data) throw new Error(`${file} has ${[...tensors.keys()].join(', ')}, not ${tensor}`);
  // As damage may fall: not on the first value, and of both signs.
  data.forEach((_, i) => {
    if (i % 3 === 1) data[i] = i % 2 ? value : -value;
  });
  await commit(files, { [file]: encode(tensors, metadata) });
  return files;
}

/** The one line that a broken model gets. */
async function refused(work: () => Promise<unknown>): Promise<void> {
  const error = (await work().then(
    (value) => ({ answered: value }),
    (reason: unknown) => reason,
  )) as Error;
  expect(error).toBeInstanceOf(InputError);
  expect(error.message).toMatch(/not finite \(got .*\): its weights are damaged/);
  expect(error.message).not.toContain('\n');
}

const cpu = await openDevice({ backend: 'cpu' });
const devices = [cpu, await openDevice({ backend: 'webgpu' }), await openDevice({ backend: 'wasm' })];

/** The small model with a ranker on top, and what its users' groups like. */
async function whole(set: Record<string, string> = {}): Promise<MemoryFiles> {
  const files = await smallModel(cpu, { set: { ranker: 'on', rankerCandidates: '12', rankerItems: 'ids', ...set } });
  const loaded = await loadModel(files);
  const settings = settingsOf(loaded);
  const table = loaded.tensors.get('items.weight')?.data as Float32Array;
  const about = { items: 60, known: 60, attributes: null, own: null, table, seed: 5 };
  const ranker = new Ranker(cpu, rankerShapeOf(settings), about);
  const fitted = { users: 9, error: 0, retrieval: {}, ranker: {}, both: {} };
  await saveRanker(files, ranker, null, { weight: 1, step: 1, fitted });
  ranker.dispose();
  return files;
}

async function grouped(): Promise<MemoryFiles> {
  const files = await smallModel(cpu);
  const config = await loadConfig(files);
  const people = ['up', 'down'].map((way) => ({ id: way, title: '', attributes: { way } }));
  config.schema.users = inferSchema([...people, ...people, ...people, ...people]);
  await commit(files, { 'config.json': JSON.stringify(config) });
  const rows = sideFeatureRows(config.schema);
  await saveSegmentPrior(files, {
    counts: {
      items: new Float32Array(60).fill(3),
      starts: new Uint32Array(rows + 1),
      columns: new Uint32Array(0),
      values: new Float32Array(0),
    },
    settings: { shrinkage: 10, strength: 1, weights: [[4, 1]], fitted: { users: 1, popularity: 0, groups: 0 } },
  });
  return files;
}

describe('loading', () => {
  it.each([
    [MODEL, 'items.weight', smallOne],
    [MEMORY, 'values', smallOne],
    [RANKER_FILE, 'items.weight', whole],
    [USERS, 'items', grouped],
  ] as const)('refuses NaN and infinity in %s', async (file, tensor, make) => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      // `decode` refuses, so that the bytes are changed where they lie.
      const files = await make();
      const bytes = await stored(files, file);
      const { tensors } = decode(bytes);
      const found = tensors.get(tensor)?.data as Float32Array;
      found[1] = value; // a view on the bytes
      await commit(files, { [file]: bytes });
      const load = Recommender.load(files, { device: cpu });
      await expect(load).rejects.toThrow(`: damaged: tensor ${tensor} holds ${value} at 1`);
      await expect(load).rejects.toThrow((await Snapshot.open(files)).pathOf(file));
      await expect(load).rejects.toBeInstanceOf(InputError);
    }
  });
});

function smallOne(): Promise<MemoryFiles> {
  return smallModel(cpu);
}

describe('finite weights that overflow', () => {
  const broken = () => smallOne().then((files) => poison(files, MODEL, 'items.weight', HUGE));
  const paths: [string, (r: Recommender) => Promise<unknown>][] = [
    ['recommend', (r) => r.recommend({ history })],
    ['recommend with a condition', (r) => r.recommend({ history, where: 'kind=odd' })],
    ['a session', (r) => r.session({ history }).update(idOf(5))],
    ['generate, greedily', (r) => r.generate(history, { steps: 2 })],
    ['generate, by beams', (r) => r.generate(history, { steps: 2, decode: 'beam' })],
    ['generate, at random', (r) => r.generate(history, { steps: 2, decode: 'nucleus' })],
  ];
  describe.each(devices)('on $backend', (device) => {
    it.each(paths)('%s', async (_, ask) => {
      const recommender = await Recommender.load(await broken(), { device });
      await refused(() => ask(recommender));
      recommender.close();
    });
  });

  it.each(['auto', 'wasm'] as const)('recommend, on the device that %s takes', async (backend) => {
    const files = await broken();
    await refused(async () => (await Recommender.load(files, { backend })).recommend({ history }));
  });

  it('item transitions', async () => {
    const files = await poison(await smallOne(), MEMORY, 'values', HUGE);
    const recommender = await Recommender.load(files, { device: cpu });
    await refused(() => recommender.recommend({ history: [idOf(3), idOf(2), idOf(3), idOf(2), idOf(3)] }));
    await refused(() => recommender.generate([idOf(3), idOf(2), idOf(3), idOf(2), idOf(3)], { steps: 1 }));
    recommender.close();
  });

  it('the ranker, in lists and in metrics', async () => {
    const files = await whole();
    const { tensors } = decode(await stored(files, RANKER_FILE));
    for (const name of tensors.keys()) if (/weight$/.test(name)) await poison(files, RANKER_FILE, name, HUGE);
    const recommender = await Recommender.load(files, { device: cpu });
    await refused(() => recommender.recommend({ history }));
    recommender.close();
    const loaded = await loadModel(files);
    const model = await RankingModel.load(cpu, loaded);
    const split = splitOf([Array.from({ length: 60 }, (_, i) => i)], 60, { itemIds: loaded.items.map(({ id }) => id) });
    const { encoder, second } = model;
    expect(second).not.toBeNull();
    await refused(() => evaluate(encoder, split, { split: 'test', includeSeen: true, second }));
    model.dispose();
  });

  it('what groups of users like, without a history', async () => {
    const files = await poison(await grouped(), USERS, 'items', HUGE);
    const recommender = await Recommender.load(files, { device: cpu });
    await refused(() => recommender.recommend({ history: [], user: { way: 'up' } }));
    recommender.close();
  });

  it('explanations and maps of attention', async () => {
    const loaded = await loadModel(await broken());
    const model = SequenceModel.load(cpu, settingsOf(loaded), 60, loaded.tensors, null);
    const explainer = new Explainer(model, loaded);
    const query = { history: Uint32Array.of(1, 2, 4), positions: [0, 1, 2] };
    await refused(() => explainer.explain(query, Uint32Array.of(7), 'occlusion'));
    await refused(() => explainer.explain(query, Uint32Array.of(7), 'rollout'));
    explainer.dispose();
    model.dispose();
    const files = await poison(await smallOne(), MODEL, 'blocks.0.attention.qkv.weight', HUGE);
    const looking = await loadModel(await poison(files, MODEL, 'blocks.0.norm1.weight', HUGE));
    const blind = SequenceModel.load(cpu, settingsOf(looking), 60, looking.tensors, null);
    const probe = new AttentionProbe(blind);
    await refused(() => probe.maps(query).then((maps) => maps.rollout()));
    probe.dispose();
    blind.dispose();
    const memory = loaded.blended?.transitions as ItemTransitions;
    const transitions = new HostTransitions(memory, { memory: 0.3, epsilon: 0.01 });
    transitions.relativeScores(query.history, Uint32Array.of(7));
    memory.rows.values.fill(Number.NaN);
    await refused(async () => transitions.relativeScores(query.history, Uint32Array.of(7)));
    await refused(async () => transitions.sharesOf(query.history, memory.rows.columns[2 * 4]));
  });

  it("users' vectors and all scores of the catalog", async () => {
    const files = await broken();
    const loaded = await loadModel(files);
    const model = SequenceModel.load(cpu, settingsOf(loaded), 60, loaded.tensors, null);
    const query = { history: Uint32Array.of(1, 2, 4) };
    for (const options of [
      { k: 1, states: true },
      { k: 1, all: 0 },
    ]) {
      const scorer = new Scorer(model, options);
      await refused(() => scorer.score([query]));
      scorer.dispose();
    }
    model.dispose();
  });

  it('an adaptation that is not finite is refused', async () => {
    const recommender = await Recommender.load(await smallOne(), { device: cpu });
    const adaptation = { vector: new Float32Array(16).fill(Number.NaN), events: 2, loss: { before: 1, after: 1 } };
    expect(() => recommender.adopt(adaptation)).toThrow('expected an adaptation of 16 finite numbers');
    recommender.close();
  });

  it('predicted ratings', async () => {
    const events = Array.from({ length: 120 }, (_, i) => ({
      user: `u${i % 10}`,
      item: `i${(i * 7) % 12}`,
      rating: 1 + ((i * 3) % 5),
      time: i,
    }));
    const files = new MemoryFiles();
    const settings = { d: 8, ff: 8, blocks: 1, cross: 1, heads: 1, window: 8, budget: 64 };
    await trainRatingModel(events, { files, epochs: 1, device: cpu, split: { name: 'last' }, settings });
    const { tensors } = decode(await stored(files, MODEL));
    const weights = [...tensors.keys()].filter((name) => /weight$/.test(name));
    for (const name of weights) await poison(files, MODEL, name, HUGE);
    const predictor = await RatingPredictor.load(files, { device: cpu });
    await refused(() => predictor.predict({ history: [{ item: 'i0', rating: 4 }] }));
    predictor.close();
  });
});

describe('ranks and metrics', () => {
  it('count what is not a number against the target', () => {
    expect(rankAmong([3, Number.NaN, 1, 2], 2)).toBe(3);
    expect(rankAmong([3, 1, Number.NaN], Number.NaN)).toBe(3);
    const items = Uint32Array.of(7, 3, 5);
    expect(rankBy(items, [Number.NaN, 1, 0], 7, 1)).toBe(3);
    expect(rankBy(items, [Number.NaN, 1, 0], 3, 1)).toBe(2);
    expect(rankBy(items, [Number.NaN, Number.NaN, Number.NaN], 5, 1)).toBe(3);
  });

  it('a metric is never made of what is not a rank', () => {
    for (const rank of [Number.NaN, 0, -1, 1.5]) expect(() => new RankMetrics().add([rank])).toThrow('1-based rank');
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('a baseline whose scores hold %d is refused', (value) => {
    const split = splitOf([[0, 1, 2]], 3);
    const scores = (_: Uint32Array, out: Float64Array | Float32Array) => out.set([1, value, 2]);
    expect(() => evaluateBaseline(split, { name: 'odd', scores }, { split: 'test', seen: 'kept' })).toThrow(
      `a score of odd, user 0 is ${value}`,
    );
  });

  it('predictions that are not finite have no RMSE', () => {
    const column = (...values: number[]) => Float32Array.from(values);
    const predictions = {
      round: Uint32Array.of(1, 1),
      rating: column(1, 2),
      mean: column(1, Number.NaN),
      median: column(1, 2),
      factors: column(1, 2),
      biases: column(1, 2),
    };
    expect(() => ratingReport(predictions, 'rating', 'mean')).toThrow('predicted ratings that are not finite');
  });
});
