/** `attune evaluate`: a model and the baselines on a log, with figures that anyone can recompute from the dump. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { alignItems } from '../data/align.ts';
import { InputError } from '../data/errors.ts';
import { type Split, split } from '../data/split.ts';
import { loadModel } from '../model/folder.ts';
import { DeviceMemory } from '../model/memory.ts';
import { SequenceModel } from '../model/sequence-model.ts';
import type { Scored } from '../model/scorer.ts';
import { explain, NodeFiles } from '../serve/files.node.ts';
import { blendOf, settingsOf } from '../serve/recommender.ts';
import { evaluate, type Evaluation } from '../train/evaluate.ts';
import { type Metrics, MISS } from '../train/metrics.ts';
import { type Backend, openDevice, Output } from './common.ts';
import { type ColumnFlags, columnsOf, examples, openDataset } from './data.ts';
import { baselineFigures, COLUMNS, tellRepeats } from './figures.ts';
import { createProgress, figuresTable, formatCount, formatFigure } from './ui.ts';

export interface EvaluateFlags extends ColumnFlags {
  model: string;
  data: string;
  split: 'valid' | 'test';
  includeSeen?: boolean;
  maxBadRows: number;
  dump?: string;
  device: Backend;
  progress?: boolean;
  json?: boolean;
}

/** Items in a line of the dump. */
const DUMPED = 100;

export async function runEvaluate(flags: EvaluateFlags): Promise<void> {
  const out = new Output(flags.json);
  const loaded = await loadModel(await NodeFiles.open(flags.model));
  const { config, weights } = loaded;
  if (weights.note) out.warn(weights.note);
  const seen = flags.includeSeen ? 'kept' : 'excluded';
  const parts = await openParts(flags, loaded, out);
  const device = await openDevice(flags.device, out);
  const dump = flags.dump === undefined ? null : new Dump(flags.dump, parts);
  const spread = new Spread();
  const bar = createProgress({ total: parts.users, force: flags.progress });
  try {
    const model = SequenceModel.load(device, settingsOf(loaded), loaded.items.length, loaded.tensors);
    const memory = loaded.remembering && new DeviceMemory(device, loaded.remembering.memory);
    const result = await evaluate(model, parts, {
      split: flags.split,
      includeSeen: flags.includeSeen,
      k: dump ? DUMPED : 10,
      blend: blendOf(loaded, memory),
      onProgress: (done, total) => {
        bar.setTotal(total);
        bar.update(done, { phase: 'ranking' });
      },
      onUser(user, target, scored) {
        spread.add(scored.rank);
        dump?.add(user, target, scored);
      },
    });
    model.dispose();
    memory?.dispose();
    bar.stop();
    dump?.close();
    const baselines = baselineFigures(parts, flags.split, seen).metrics;
    out.object({
      protocol: result.protocol,
      split: result.split,
      seen: result.seen,
      users: result.users,
      items: result.items,
      metrics: result.metrics,
      parts: result.parts,
      baselines,
      model: {
        path: flags.model,
        recipe: config.recipe,
        weights: weights.from,
        step: weights.step,
        epoch: weights.epoch,
        device: device.name,
      },
    });
    const target = flags.split === 'test' ? 'last' : 'last but one';
    out.line(
      `\n${flags.split}: each user's ${target} interaction among all ${formatCount(result.items)} items, seen items ${seen}, ${formatCount(result.users)} users`,
    );
    const name = `${config.recipe} (step ${formatCount(weights.step)})`;
    out.line(figuresTable({ ...partRows(name, result), ...baselines }, COLUMNS));
    const coverage = result.metrics['Coverage@10'];
    out.line(
      `\nThe model's top 10 lists cover ${(100 * coverage).toFixed(1)} % of the catalogue; one standard error of its NDCG@10 is about ±${formatFigure(spread.standardError)}.`,
    );
    tellRepeats(result.targetsInHistory, seen, out);
    if (flags.dump !== undefined)
      out.note(`${flags.dump}: ${formatCount(result.users)} lines, a user each, best items first`);
  } finally {
    bar.stop();
    dump?.close();
    device.close();
  }
}

/** The blend first, then what it is made of; the transformer by itself where there is no memory. */
function partRows(name: string, { metrics, parts }: Evaluation): Record<string, Metrics> {
  if (!parts.memory) return { [name]: metrics };
  return { [`${name} with memory`]: metrics, [`${name} alone`]: parts.transformer, 'memory alone': parts.memory };
}

/** The log as the model's config filters it, in the model's item rows. */
async function openParts(
  flags: EvaluateFlags,
  loaded: Awaited<ReturnType<typeof loadModel>>,
  out: Output,
): Promise<Split> {
  const { data, schema } = loaded.config;
  const reading = { columns: columnsOf(flags, schema.columns), maxBadRows: flags.maxBadRows };
  const filter = { minInteractions: data.minInteractions, minRating: data.minRating ?? undefined };
  const dataset = await openDataset(flags.data, reading, filter, out, flags.progress);
  const ids = loaded.items.map((item) => item.id);
  const aligned = alignItems(dataset, ids);
  if (aligned.unknown.length === dataset.itemIds.length) {
    throw new InputError(
      `${flags.data}: none of its items is known to the model in ${flags.model}: ${examples(aligned.unknown)} here, ${examples(ids)} there`,
    );
  }
  if (aligned.unknown.length > 0) {
    out.warn(
      `${formatCount(aligned.unknown.length)} items of ${flags.data} are unknown to the model and left out with their ` +
        `${formatCount(aligned.unknownEvents)} interactions: ${examples(aligned.unknown)}`,
    );
  }
  const parts = split(aligned.dataset);
  for (let u = 0; u < parts.users; u++) if (parts.testTarget(u) >= 0) return parts;
  throw new InputError(`${flags.data}: no user has the three interactions that leave-one-out needs`);
}

/** One standard error of NDCG@10 over the users, from their ranks. */
class Spread {
  private users = 0;
  private sum = 0;
  private squares = 0;

  add(rank: number): void {
    const gain = rank <= 10 ? 1 / Math.log2(rank + 1) : 0;
    this.users++;
    this.sum += gain;
    this.squares += gain * gain;
  }

  get standardError(): number {
    const mean = this.sum / this.users;
    return Math.sqrt((this.squares / this.users - mean * mean) / this.users);
  }
}

/** The lines of `--dump`, written as they come. */
class Dump {
  private readonly file: string;
  private readonly parts: Split;
  private handle: number | null;
  private text = '';

  constructor(file: string, parts: Split) {
    this.file = file;
    this.parts = parts;
    this.handle = openSync(file, 'w');
  }

  /** `rank` is null where the target was excluded as seen: a miss. Scores keep their single precision. */
  add(user: number, target: number, { rank, items, scores }: Scored): void {
    const { userIds, itemIds } = this.parts.dataset;
    this.text += `${JSON.stringify({
      user: userIds[user],
      target: itemIds[target],
      rank: rank >= MISS ? null : rank,
      items: Array.from(items.subarray(0, DUMPED), (row) => itemIds[row]),
      scores: Array.from(scores.subarray(0, DUMPED), (score) => Number(score.toPrecision(9))),
    })}\n`;
    if (this.text.length > 1 << 20) this.flush();
  }

  private flush(): void {
    try {
      const bytes = Buffer.from(this.text);
      for (let at = 0; this.handle !== null && at < bytes.length; ) at += writeSync(this.handle, bytes, at);
    } catch (error) {
      throw explain(error, this.file, 'write');
    }
    this.text = '';
  }

  close(): void {
    if (this.handle === null) return;
    this.flush();
    closeSync(this.handle);
    this.handle = null;
  }
}
