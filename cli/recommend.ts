/** `attune recommend`: the next items for a history of item IDs, or for a user of a log. */
import { openPath } from '../serve/sources.node.ts';
import { afterOptions, idsOf, parseIds, warnOfUnknownIds } from './after.ts';
import type { AfterFlags } from './after-flags.ts';
import type { ExplainMethod } from '../serve/explain.ts';
import { type Recommendation, Recommender, settingsOf } from '../serve/recommender.ts';
import { type Backend, openDevice, Output } from './common.ts';
import { type ColumnFlags, columnsOf, examples, historyOf, openLog } from './data.ts';
import { UsageError } from './errors.ts';
import { explanationNotes, explanationText, writeHeatmap } from './explanations.ts';
import { formatCount, printable, table } from './ui.ts';

export interface RecommendFlags extends ColumnFlags, AfterFlags {
  model: string;
  history?: string;
  user?: string;
  data?: string;
  maxBadRows: number;
  k: number;
  exclude?: string;
  includeSeen?: boolean;
  explain?: ExplainMethod;
  heatmap?: string;
  block?: number;
  head?: number;
  device: Backend;
  json?: boolean;
}

export async function runRecommend(flags: RecommendFlags): Promise<void> {
  const out = new Output(flags.json);
  checkUsage(flags);
  const files = await openPath(flags.model);
  const given = flags.history === undefined ? null : parseIds(flags.history, '--history');
  const exclude = flags.exclude === undefined ? [] : await idsOf(flags.exclude, '--exclude');
  const after = await afterOptions(flags);
  const device = await openDevice(flags.device, out);
  try {
    const recommender = await Recommender.load(files, { device });
    const { config, weights } = recommender.loaded;
    if (weights.note) out.warn(weights.note);
    const { history, times } = given
      ? { history: given, times: undefined }
      : await historyFromLog(flags, config.schema.columns, config.data.minRating);
    const known = new Set(recommender.items.map((item) => item.id));
    const { k, includeSeen } = flags;
    const { explain } = flags;
    const asked = { explain, attention: flags.heatmap !== undefined };
    const { items, unknown, attention } = await recommender.recommend({
      ...{ history, times, k, exclude, includeSeen, ...after, ...asked },
    });
    warnOfUnknown(unknown, history.length, out);
    warnOfUnknownIds('--exclude', exclude, known, out);
    warnOfUnknownIds('--allow', after.allow, known, out);
    warnOfUnknownIds('--deny', after.deny, known, out);
    out.object({ items, unknown, seen: includeSeen ? 'kept' : 'excluded' });
    out.line(list(items));
    if (items.length < k) {
      const left = Object.keys(after).length > 0 ? 'by the filters and caps' : 'in the catalogue';
      out.note(`${formatCount(items.length)} of ${formatCount(k)}: no more items are left ${left}`);
    }
    if (explain && items.length > 0) {
      out.line(`\n${explanationText(items)}\n`);
      const notes = explanationNotes(
        explain,
        settingsOf(recommender.loaded),
        items.map((item) => item.explanation),
      );
      for (const note of notes) out.note(note);
    }
    if (flags.heatmap !== undefined && attention) out.note(await writeHeatmap(flags.heatmap, attention, flags));
    recommender.close();
  } finally {
    device.close();
  }
}

function checkUsage({ history, user, data, heatmap, block, head }: RecommendFlags): void {
  if (heatmap === undefined && (block ?? head) !== undefined)
    throw new UsageError('--block and --head choose what --heatmap FILE.svg shows');
  if (head !== undefined && block === undefined) throw new UsageError('--head needs the block it is in: --block N');
  if (history !== undefined && user !== undefined) throw new UsageError('--history and --user exclude each other');
  if (history === undefined && user === undefined) {
    throw new UsageError('whom for? give --history ID,ID,... or --user ID with --data PATH');
  }
  if (user !== undefined && data === undefined) throw new UsageError('--user needs the log it is in: --data PATH');
  if (history !== undefined && data !== undefined) throw new UsageError('--data goes with --user, not with --history');
}

async function historyFromLog(flags: RecommendFlags, remembered: object, minRating: number | null) {
  const reading = { columns: columnsOf(flags, remembered), maxBadRows: flags.maxBadRows };
  const log = await openLog(flags.data as string, reading);
  return historyOf(log, flags.user as string, minRating);
}

function warnOfUnknown(unknown: readonly string[], total: number, out: Output): void {
  if (unknown.length === 0) return;
  const distinct = [...new Set(unknown)];
  const which = distinct.length === 1 ? 'item' : 'items';
  out.warn(
    `${formatCount(unknown.length)} of ${formatCount(total)} skipped, ${which} unknown to the model: ${examples(distinct, 10)}`,
  );
}

function list(items: readonly Recommendation[]): string {
  const titled = items.some(({ id, title }) => id !== title);
  const head = titled ? ['', 'title', 'score', 'id'] : ['', 'id', 'score'];
  const rows = items.map(({ id, title, score }, i) => {
    const place = `${i + 1}.`;
    return titled
      ? [place, printable(title), score.toFixed(3), printable(id)]
      : [place, printable(id), score.toFixed(3)];
  });
  return table(head, rows);
}
