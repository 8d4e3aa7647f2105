/** `attune evaluate`: a model and the baselines on a log, with metrics that anyone can recompute from the dump. */
import type { EvaluateFlags } from './evaluate.flags.ts';
import { closeSync, openSync, writeSync } from 'node:fs';
import { InputError } from '../../data/errors.ts';
import { ownValue } from '../../data/own-value.ts';
import { ColdSplit } from '../../data/splits/cold.ts';
import { describeProtocol, describeTask, describeTime } from '../../data/splits/protocol.ts';
import type { Split } from '../../data/splits/split.ts';
import type { StoredRanker } from '../../model/ranker/store.ts';
import type { Scored } from '../../model/inference/scored.ts';
import { explain } from '../../recommend/sources/files.node.ts';
import { allBaselines, easeFits } from '../../train/baselines/all-baselines.ts';
import { attributeNeighbors } from '../../train/baselines/cold-items.ts';
import { type TargetMetrics, trainingFacts } from '../../train/evaluation/collector.ts';
import { type FairnessReport, fairnessReport } from '../../train/fairness/report.ts';
import { evaluateDomains, hasDomains } from '../../train/evaluation/domains.ts';
import { evaluatePostProcessing } from '../../train/evaluation/reranking.ts';
import type { Evaluation } from '../../train/evaluation/evaluate.ts';
import { type Metrics, MISS } from '../../train/evaluation/metrics.ts';
import { paired } from '../../train/evaluation/statistics.ts';
import { groupNames, openGroups } from '../input/groups.ts';
import {
  listMeasures,
  postProcessingOptions,
  postProcessingOf,
  postProcessingTable,
  variantsOf,
  warnOfUnknownIds,
  withMeasures,
} from '../input/post-processing.ts';
import { UsageError } from '../errors.ts';
import { openDevice, Output, requireOtherFile } from '../common.ts';
import {
  intervalsOf,
  type Judged,
  kinshipOf,
  openLogOf,
  openJudged,
  type Rank,
  splitFor,
  requireHeldOut,
  requireTimes,
  similarityOf,
  withRanking,
} from '../evaluation.ts';
import { tellFairness } from '../output/fairness.ts';
import {
  type Domains,
  domainsTable,
  METRIC_COLUMNS,
  rankBaseline,
  slicesTable,
  noteRepeats,
} from '../output/metrics.ts';
import { metricsTable, formatCount, formatMetric } from '../output/ui.ts';

/** Items in a line of the dump. */
const DUMPED = 100;

export async function runEvaluate(flags: EvaluateFlags): Promise<void> {
  const out = new Output(flags.json);
  if (flags.predict !== undefined) throw new UsageError(`--predict ${flags.predict}: requires a model of ratings`);
  if (flags.dump !== undefined) requireOtherFile('--dump', flags.dump, [flags.data, flags.model, flags.users]);
  const names = flags.groups === undefined ? null : groupNames(flags.groups);
  const judged = await openJudged(flags.model, out);
  const { config, weights } = judged.loaded;
  const options = await postProcessingOptions(flags);
  const after = postProcessingOf(judged.loaded);
  let variants = variantsOf(after, options);
  for (const { label, candidates } of variants) {
    if (candidates === 0) out.warn(`${label}: no item of the catalog is left`);
  }
  warnOfUnknownIds('--allow', options.allow, after.rows, out);
  warnOfUnknownIds('--deny', options.deny, after.rows, out);
  const seen = flags.includeSeen ? 'kept' : 'excluded';
  // Groups read columns of users, too, where the model reads none.
  const users = names && !config.schema.users ? undefined : flags.users;
  const split = await splitFor(judged, await openLogOf(judged, flags, out), { ...flags, users }, out);
  await requireHeldOut(judged, split, flags, out);
  requireTimes([judged], split, flags, out);
  if (split instanceof ColdSplit && variants.length > 0) {
    throw new InputError('conflicting-settings', '--protocol cold-items ranks by the score alone', {
      hint: `leave out ${variants[0].label}`,
    });
  }
  const kinship = kinshipOf(judged);
  const facts = trainingFacts(split);
  const groups = names && (await openGroups(names, flags.users, judged.loaded.items, split, flags.split, facts));
  const measures = listMeasures(after, options, split, flags.split);
  const keepLists = groups !== null || measures.length > 0;
  const shared = { facts, distance: kinship?.distance, keepLists };
  const device = await openDevice(flags.device, out);
  const dump = flags.dump === undefined ? null : new Dump(flags.dump, split);
  try {
    const plain = {
      k: dump ? DUMPED : 10,
      onUser: (user: number, targets: Uint32Array, ranks: Uint32Array, scored: Scored) =>
        dump?.add(user, targets, ranks, scored),
    };
    const ranked = await withRanking(device, judged, split, flags.progress, async (rank, model) => {
      const vectors = await model.towerVectors();
      if (vectors) variants = variantsOf(after.withVectors(vectors), options);
      const { includeSeen, requestTime } = flags;
      const context = { ...shared, split, part: flags.split };
      const ranking: Rank = (some) => rank({ ...shared, includeSeen, requestTime, ...some });
      const all = await evaluatePostProcessing(variants, plain, {
        ...context,
        rank: (some) => ranking({ ...shared, split: flags.split, ...some }),
      });
      const domains = await domainsOf(judged, split, flags.split, all.plain, ranking);
      return { ...all, domains };
    });
    dump?.close();
    const result = { ...ranked.plain, metrics: withMeasures(ranked.plain, measures) };
    const { domains } = ranked;
    const moved = variants.map(({ name, label, options, candidates }) => {
      const of = ranked.after[name];
      const difference = paired(of.perUser['NDCG@10'], result.perUser['NDCG@10'], 1);
      return { name, label, options, candidates, metrics: withMeasures(of, measures), difference };
    });
    const baselines: Record<string, Metrics> = {};
    const beside: ({ name: string } & TargetMetrics)[] = [];
    if (flags.baselines) {
      const all =
        split instanceof ColdSplit
          ? [attributeNeighbors(split, flags.split, similarityOf(judged.loaded))]
          : allBaselines(device, split, seen);
      for await (const baseline of all) {
        const ranked = rankBaseline(split, flags.split, baseline, { ...shared, seen });
        if (!ranked) continue;
        baselines[baseline.name] = withMeasures(ranked, measures);
        if (groups) beside.push({ name: baseline.name, ...ranked });
      }
    }
    const fairness =
      groups &&
      fairnessReport({
        ...groups,
        split,
        part: flags.split,
        facts,
        model: result,
        baselines: beside,
      });
    const intervals = intervalsOf(result);
    out.object({
      protocol: result.protocol.name,
      protocolParameters: result.protocol.parameters,
      split: result.split,
      seen: result.seen,
      requestTime: result.requestTime,
      users: result.users,
      items: result.items,
      metrics: result.metrics,
      parts: result.parts,
      ...(result.withPrior && { withPrior: result.withPrior }),
      ...(result.cost && { cost: result.cost }),
      ...(moved.length > 0 && {
        after: Object.fromEntries(
          moved.map(({ name, options, candidates, metrics, difference }) => {
            return [name, { options, items: candidates, metrics, difference: { 'NDCG@10': difference } }];
          }),
        ),
      }),
      baselines,
      intervals,
      slices: result.slices,
      ...(fairness && splitReport(fairness)),
      ...(domains && { domains: { column: domains.column, values: Object.fromEntries(domains.values) } }),
      diversity: kinship?.by ?? null,
      model: {
        path: flags.model,
        recipe: config.recipe,
        weights: weights.from,
        step: weights.step,
        epoch: weights.epoch,
        device: device.name,
      },
    });
    out.line(
      `\n${flags.split}: ${describeTask(result.protocol, flags.split, result.items)}, seen items ${seen}, ` +
        `${formatCount(result.users)} users; protocol ${describeProtocol(result.protocol)}; ${describeTime(result.requestTime)}`,
    );
    const name = `${config.recipe} (step ${formatCount(weights.step)})`;
    out.line(metricsTable({ ...partRows(name, result), ...baselines }, METRIC_COLUMNS));
    if (result.withPrior) {
      const few = formatCount(result.withPrior);
      out.note(`${few} users have few events: the segment prior is added to their scores, as recommend does.`);
    }
    if (result.cost && judged.loaded.ranker) tellStages(result.cost, judged.loaded.ranker, out);
    if (moved.length > 0)
      out.line(`\n${postProcessingTable({ candidates: result.items, metrics: result.metrics }, moved, measures)}`);
    const slices = slicesTable(result.slices);
    if (slices) out.line(`\n${slices}`);
    if (domains) out.line(`\n${domainsTable(domains)}`);
    tellLists(result.metrics, intervals, kinship?.by ?? null, out);
    if (fairness) tellFairness(fairness, out);
    if (flags.baselines && !(split instanceof ColdSplit) && !easeFits(device, split)) {
      out.note(`EASE and its blend are left out: ${formatCount(split.items)} items are too many for them here.`);
    }
    noteRepeats(result.targetsInHistory, seen, out);
    if (flags.dump !== undefined)
      out.note(`${flags.dump}: ${formatCount(result.users)} lines, a user each, best items first`);
  } finally {
    dump?.close();
    device.close();
  }
}

/** Metrics of the groups by themselves, as `{ column: { value: { users, metrics } } }`. */
const splitReport = ({ groups, ...fairness }: FairnessReport) => ({ groups, fairness });
/** Metrics by the domain of the target, where the model knows domains and the protocol tells them apart; null otherwise. */
async function domainsOf(
  { loaded }: Judged,
  split: Split,
  part: 'valid' | 'test',
  { perUser }: Evaluation,
  rank: Rank,
): Promise<Domains | null> {
  const column = loaded.config.schema.domain;
  if (column === undefined || !hasDomains(split)) return null;
  const domains = loaded.items.map(({ attributes }) => ownValue(attributes, column) ?? '');
  const facts = trainingFacts(split);
  const values = await evaluateDomains(split, part, domains, perUser, (outside) =>
    rank({ split: part, facts, components: false, outside }),
  );
  return { column, values };
}

/** Both stages or the blend first, then what they are made of; the transformer by itself where there is nothing else. */
function partRows(name: string, { metrics, parts }: Pick<Evaluation, 'metrics' | 'parts'>): Record<string, Metrics> {
  if (parts.attributes) {
    return {
      [`${name} with attributes`]: metrics,
      [`${name} alone`]: parts.transformer,
      'attributes alone': parts.attributes,
    };
  }
  if (parts.withoutPrior) {
    const { withoutPrior, ...others } = parts;
    const [served, ...rest] = Object.entries(partRows(name, { metrics: withoutPrior, parts: others }));
    return { [`${served[0]}, users' groups`]: metrics, ...Object.fromEntries([served, ...rest]) };
  }
  const first = parts.transformer ? `${name} with transitions` : name;
  const rows: Record<string, Metrics> = parts.retrieval
    ? { [`${first}, two stages`]: metrics, [`${first}, first stage`]: parts.retrieval, 'ranker alone': parts.ranker }
    : { [first]: metrics };
  if (parts.transformer) rows[`${name} alone`] = parts.transformer;
  if (parts.memory) rows['transitions alone'] = parts.memory;
  return rows;
}

/** The weight of the second stage, and its cost compared with the first. */
function tellStages(cost: NonNullable<Evaluation['cost']>, { shape, stages }: StoredRanker, out: Output): void {
  const { retrieval, ranker } = cost;
  const candidates = shape.rankerCandidates;
  if (stages.weight === 0) {
    out.note(
      'The ranker did not gain more than a standard error on validation: its weight is 0, and recommend leaves it out.',
    );
  }
  out.line(
    `\nCost: the first stage ${retrieval.toFixed(1)} ms a user, the ranker ${ranker.toFixed(1)} ms for ${formatCount(candidates)} candidates.`,
  );
}

/** How sure the model's metrics are, and what its lists are like. */
function tellLists(
  metrics: Readonly<Record<string, number>>,
  intervals: ReturnType<typeof intervalsOf>,
  by: 'attributes' | 'vectors' | null,
  out: Output,
): void {
  const limits = (name: 'NDCG@10' | 'HR@10') => intervals[name].map(formatMetric).join(' to ');
  out.line(`\n95 % confidence (bootstrap over users): NDCG@10 ${limits('NDCG@10')}, HR@10 ${limits('HR@10')}.`);
  const diversity = metrics['Diversity@10'];
  const apart =
    diversity === undefined || by === null
      ? ''
      : `, diversity ${diversity.toFixed(3)} (by ${by === 'attributes' ? "the items' attributes" : "the model's item vectors"})`;
  out.line(
    `The model's top 10 lists cover ${(100 * metrics['Coverage@10']).toFixed(1)} % of the catalog; Gini ${metrics['Gini@10'].toFixed(3)}, ` +
      `novelty ${metrics['Novelty@10'].toFixed(2)} bits${apart}.`,
  );
}

/** The lines of `--dump`, written as they come. */
class Dump {
  private readonly file: string;
  private readonly split: Split;
  private handle: number | null;
  private text = '';

  constructor(file: string, split: Split) {
    this.file = file;
    this.split = split;
    this.handle = openSync(file, 'w');
  }

  /** A rank is null where the target was excluded as seen or not found: a miss. Scores keep their single precision. */
  add(user: number, targets: Uint32Array, ranks: Uint32Array, { items, scores }: Scored): void {
    const { userIds, itemIds } = this.split.dataset;
    const rankOf = (rank: number) => (rank >= MISS ? null : rank);
    const found = this.split.manyTargets
      ? { targets: Array.from(targets, (row) => itemIds[row]), ranks: Array.from(ranks, rankOf) }
      : { target: itemIds[targets[0]], rank: rankOf(ranks[0]) };
    this.text += `${JSON.stringify({
      user: userIds[user],
      ...found,
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
