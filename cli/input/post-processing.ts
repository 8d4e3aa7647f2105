/** Re-ranking and post-processing, from the flags of `recommend` and `evaluate`, and what `evaluate` says of it. */
import { parse } from 'csv-parse/sync';
import { InputError } from '../../data/errors.ts';
import type { Split } from '../../data/splits/split.ts';
import type { Item } from '../../model/storage/config.ts';
import {
  candidatesOf,
  type ExposureOptions,
  PostProcessing,
  type PostProcessingOptions,
} from '../../recommend/reranking/post-processing.ts';
import type { RerankingVariant } from '../../train/evaluation/reranking.ts';
import { KEPT, type PerUser, type TargetMetrics } from '../../train/evaluation/collector.ts';
import type { Metrics } from '../../train/evaluation/metrics.ts';
import type { Difference } from '../../train/evaluation/statistics.ts';
import { exposureShare, listMiscalibration } from '../../train/fairness/items.ts';
import { UsageError } from '../errors.ts';
import type { PostProcessingFlags } from '../flags/post-processing.ts';
import type { Output } from '../common.ts';
import { examples } from '../../train/side-features.ts';
import { readText } from './data.ts';
import { formatCount, formatMetric, printable, table } from '../output/ui.ts';

/**
 * IDs as one line of CSV: `a,b,"with, comma"`, spaces around commas ignored; or `@FILE`, which holds such lines.
 * @throws InputError
 */
export async function idsOf(text: string, flag: string): Promise<string[]> {
  if (!text.startsWith('@')) return parseIds(text, flag);
  const file = text.slice(1);
  return parseIds((await readText(file)).replace(/\r\n?/g, '\n'), flag, file);
}

/** @throws InputError */
export function parseIds(text: string, flag: string, file?: string): string[] {
  let rows: string[][];
  try {
    rows = parse(text, { relax_column_count: true, trim: true, skip_empty_lines: true }) as string[][];
  } catch {
    throw new InputError(
      'invalid-value',
      `${flag} ${file ? `@${file}` : text}: the quotes do not match; an ID with a comma or a quote is written "a, ""b""" (quotes around it, those inside doubled)`,
    );
  }
  const ids = rows.flat().filter((id) => id !== '');
  if (ids.length === 0)
    throw new InputError('invalid-value', `${flag}${file ? ` @${file}` : ''}: there is no item ID in it`);
  return ids;
}

/** The options of the flags that were given. @throws InputError */
export async function postProcessingOptions(flags: PostProcessingFlags): Promise<PostProcessingOptions> {
  const { where, allow, deny, diversity, popularityPenalty, explore, exploreStrength, exploreSeed } = flags;
  if (explore === undefined && (exploreStrength !== undefined || exploreSeed !== undefined)) {
    throw new UsageError('--explore-strength and --explore-seed require --explore METHOD');
  }
  return {
    ...(where !== undefined && { where }),
    ...(allow !== undefined && { allow: await idsOf(allow, '--allow') }),
    ...(deny !== undefined && { deny: await idsOf(deny, '--deny') }),
    ...(diversity !== undefined && { diversity }),
    ...(flags.cap.size > 0 && { caps: Object.fromEntries(flags.cap) }),
    ...(flags.calibrate.size > 0 && { calibrate: Object.fromEntries(flags.calibrate) }),
    ...(flags.expose.length > 0 && { expose: flags.expose }),
    ...(popularityPenalty !== undefined && { popularityPenalty }),
    ...(explore !== undefined && { explore: { method: explore, strength: exploreStrength, seed: exploreSeed } }),
  };
}

/** Says which IDs of a list the model does not know; what that means depends on the list. */
export function warnOfUnknownIds(
  flag: '--allow' | '--deny' | '--exclude',
  ids: readonly string[] | undefined,
  known: { has(id: string): boolean },
  out: Output,
): void {
  const idle = (ids ?? []).filter((id) => !known.has(id));
  if (idle.length === 0) return;
  const so = flag === '--allow' ? 'so it cannot be recommended' : 'so never recommended anyway';
  out.warn(`${flag}: unknown to the model, ${so}: ${examples(idle)}`);
}

/** A kind of post-processing, and what `evaluate` calls it. */
export interface NamedVariant extends RerankingVariant {
  label: string;
  options: PostProcessingOptions;
  candidates: number;
}

/** Each option alone and, where there are several, all together. @throws InputError */
export function variantsOf(after: PostProcessing, options: PostProcessingOptions): NamedVariant[] {
  const names = Object.keys(options) as (keyof PostProcessingOptions)[];
  const alone = names.map((name): [string, PostProcessingOptions] => [name, { [name]: options[name] }]);
  const all = names.length > 1 ? [...alone, ['together', options] as [string, PostProcessingOptions]] : alone;
  // Variants with the same bias share an array, so that they share a pass.
  const biases = new Map<string, Float32Array | null>();
  return all.map(([name, some]) => {
    const { bias, candidates, rerank } = after.plan(some);
    const { where, allow, deny, popularityPenalty } = some;
    const key = JSON.stringify([where, allow, deny, popularityPenalty]);
    if (!biases.has(key)) biases.set(key, bias);
    return {
      name,
      label: name === 'together' ? name : labelOf(some),
      options: some,
      candidates,
      bias: biases.get(key) ?? null,
      rerank:
        rerank &&
        ((items, scores, k, history) =>
          Uint32Array.from(rerank(candidatesOf(items, scores), k, history), ({ row }) => row)),
    };
  });
}

function labelOf(options: PostProcessingOptions): string {
  const { where, allow, deny, diversity, caps, calibrate, expose, popularityPenalty, explore } = options;
  const pairs = (of: Readonly<Record<string, number>>, sign: string): string =>
    Object.entries(of)
      .map(([name, value]) => `${name}${sign}${value}`)
      .join(', ');
  if (explore) return `explore ${explore.method}${explore.strength === undefined ? '' : ` ${explore.strength}`}`;
  if (where !== undefined) return `where ${where}`;
  if (allow) return `allow ${formatCount(allow.length)} IDs`;
  if (deny) return `deny ${formatCount(deny.length)} IDs`;
  if (diversity !== undefined) return `diversity ${diversity}`;
  if (popularityPenalty !== undefined) return `popularity penalty ${popularityPenalty}`;
  if (calibrate) return `calibrate ${pairs(calibrate, ':')}`;
  if (expose) return `expose ${expose.map(exposureName).join(', ')}`;
  return `cap ${pairs(caps ?? {}, '=')}`;
}

const exposureName = ({ attribute, value, share }: ExposureOptions): string => `${attribute}:${value}>=${share}`;

/** What calibration and exposure floors are for, measured on lists that were kept. */
export interface ListMeasure {
  name: string;
  of(perUser: PerUser): number;
}

/** A measure for each attribute that is calibrated, and for each floor. */
export function listMeasures(
  after: PostProcessing,
  { calibrate = {}, expose = [] }: PostProcessingOptions,
  split: Split,
  part: 'valid' | 'test',
): ListMeasure[] {
  const listsOf = ({ lists }: PerUser) => {
    if (!lists) throw new Error('post-processing: the lists were not kept');
    return { lists, length: KEPT };
  };
  const mixes = Object.keys(calibrate).map((attribute): ListMeasure => {
    const valuesOf = after.valuesBy(attribute, `calibrate ${attribute}`);
    return {
      name: `Miscalibration@10 ${attribute}`,
      of: (perUser) => {
        const histories = Array.from(perUser.users, (u) => split.history(u, part));
        const own = listMiscalibration(listsOf(perUser), histories, valuesOf).filter((value) => !Number.isNaN(value));
        return own.reduce((sum, value) => sum + value, 0) / Math.max(1, own.length);
      },
    };
  });
  const floors = expose.map((floor): ListMeasure => {
    const has = after.members(floor.attribute, floor.value, `expose ${exposureName(floor)}`);
    return {
      name: `Exposure@10 ${floor.attribute}:${floor.value}`,
      of: (perUser) => exposureShare(listsOf(perUser), has),
    };
  });
  return [...mixes, ...floors];
}

/** Metrics with what was measured on the lists. */
export function withMeasures({ metrics, perUser }: TargetMetrics, measures: readonly ListMeasure[]): Metrics {
  const more = Object.fromEntries(measures.map(({ name, of }) => [name, of(perUser)]));
  return { ...metrics, ...more };
}

/** The catalog of a model for `variantsOf`. */
export function postProcessingOf({
  items,
  tensors,
}: {
  items: readonly Item[];
  tensors: ReadonlyMap<string, unknown>;
}): PostProcessing {
  const rows = new Map(items.map((item, row) => [item.id, row]));
  return new PostProcessing(
    items,
    rows,
    tensors.get('items.weight') as ConstructorParameters<typeof PostProcessing>[2],
  );
}

/** Measured by the evaluation of every list. */
const SHOWN = ['NDCG@10', 'HR@10', 'Coverage@10', 'Diversity@10', 'MeanPopularity@10'];

/** What each option costs and gains, below the metrics of the model as it is. */
export function postProcessingTable(
  plain: { candidates: number; metrics: Metrics },
  variants: readonly { label: string; candidates: number; metrics: Metrics; difference: Difference }[],
  measures: readonly ListMeasure[],
): string {
  const names = [...SHOWN, ...measures.map(({ name }) => name)];
  const shown = names.filter((name) => plain.metrics[name] !== undefined);
  const costs = variants.map(({ difference: { mean, p } }) => [mean.toFixed(4), formatMetric(p)]);
  const rows = [{ label: 'plain', ...plain }, ...variants].map(({ label, candidates, metrics }, i) => [
    label,
    formatCount(candidates),
    ...shown.map((name) =>
      metrics[name] === undefined
        ? '–'
        : name === 'MeanPopularity@10'
          ? metrics[name].toFixed(1)
          : formatMetric(metrics[name]),
    ),
    ...(costs[i - 1] ?? ['', '']),
  ]);
  return table(['after the score', 'items', ...shown.map(printable), 'NDCG@10 by', 'p'], rows);
}
