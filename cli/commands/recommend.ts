/** `attune recommend`: the next items for a history of item IDs, for a user of a log, or for a cold-start user. */
import type { RecommendFlags } from './recommend.flags.ts';
import { InputError } from '../../data/errors.ts';
import type { ModelConfig } from '../../model/storage/config.ts';
import { openPath } from '../../recommend/sources/sources.node.ts';
import { postProcessingOptions, idsOf, parseIds, warnOfUnknownIds } from '../input/post-processing.ts';
import type { UserContext } from '../../model/inference/query.ts';
import { settingsOf } from '../../model/inference/ranking-model.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { Recommender } from '../../recommend/recommender.ts';
import type { Recommendation } from '../../recommend/types.ts';
import { openDevice, Output, requireOtherFile } from '../common.ts';
import { examples } from '../../train/side-features.ts';
import { columnsOf, historyOf, openLog } from '../input/data.ts';
import { UsageError } from '../errors.ts';
import { explanationNotes, explanationText, writeHeatmap } from '../output/explanations.ts';
import { askedAt, type HistoryFlags, shownTime } from '../input/history.ts';
import { contextOf, openUsers } from '../input/side-features.ts';
import { formatCount, printable, table } from '../output/ui.ts';

export async function runRecommend(flags: RecommendFlags): Promise<void> {
  const out = new Output(flags.json);
  checkUsage(flags);
  if (flags.heatmap !== undefined) requireOtherFile('--heatmap', flags.heatmap, [flags.model, flags.data, flags.users]);
  const loaded = await loadModel(await openPath(flags.model));
  const given = flags.history === undefined ? null : parseIds(flags.history, '--history');
  const exclude = flags.exclude === undefined ? [] : await idsOf(flags.exclude, '--exclude');
  const after = await postProcessingOptions(flags);
  const device = await openDevice(flags.device, out, loaded);
  try {
    const recommender = await Recommender.of(loaded, { device });
    const { config, weights } = loaded;
    if (weights.note) out.warn(weights.note);
    const asked = askedAt(recommender, await queryUserOf(flags, given, config, out), flags.at, out);
    const { history } = asked;
    const known = new Set(recommender.items.map((item) => item.id));
    const { k, includeSeen } = flags;
    const { explain } = flags;
    const looks = { explain, attention: flags.heatmap !== undefined };
    const { items, unknown, unseen, attention } = await recommender.recommend({
      ...asked,
      k,
      exclude,
      includeSeen,
      ...after,
      ...looks,
    });
    warnOfUnknown(unknown, history.length, out);
    for (const [name, count] of Object.entries(unseen)) {
      out.warn(`${formatCount(count)} values of ${printable(name)} are new to the model and count as unknown`);
    }
    if (history.length === 0) {
      const known = asked.user && config.schema.users;
      out.note(`no event is known: ${known ? 'the segment prior' : 'popularity'}`);
    }
    warnOfUnknownIds('--exclude', exclude, known, out);
    warnOfUnknownIds('--allow', after.allow, known, out);
    warnOfUnknownIds('--deny', after.deny, known, out);
    const seen = includeSeen ? 'kept' : 'excluded';
    out.object({ items, unknown, unseen, seen, at: shownTime(asked.now), device: device.backend });
    out.line(list(items));
    if (items.length < k) {
      const left = Object.keys(after).length > 0 ? 'by the filters and caps' : 'in the catalog';
      out.note(`${formatCount(items.length)} of ${formatCount(k)}: no more items are left ${left}`);
    }
    if (explain && items.length > 0 && history.length > 0) {
      out.line(`\n${explanationText(items)}\n`);
      const notes = explanationNotes(
        explain,
        settingsOf(loaded),
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

function checkUsage(flags: RecommendFlags): void {
  const { history, user, data, items, context, users, about, heatmap, block, head } = flags;
  if (flags.out !== undefined || flags.partition !== undefined)
    throw new UsageError('--out and --partition require --all');
  if (items !== undefined) throw new UsageError('--items: requires a model of ratings');
  if (context.size > 0) throw new UsageError('--context: requires a model of ratings');
  if (heatmap === undefined && (block ?? head) !== undefined)
    throw new UsageError('--block and --head choose what --heatmap FILE.svg shows');
  if (head !== undefined && block === undefined) throw new UsageError('--head needs the block it is in: --block N');
  if (history !== undefined && user !== undefined) throw new UsageError('--history and --user exclude each other');
  if (flags.new && (history ?? user) !== undefined) {
    throw new UsageError('--new is for a user without events; leave --history and --user out');
  }
  if (history === undefined && user === undefined && !flags.new) {
    throw new UsageError('no user: give --history ID,ID,..., --user ID with --data PATH, or --new');
  }
  if (user !== undefined && data === undefined && users === undefined) {
    throw new UsageError('--user needs the log it is in: --data PATH');
  }
  if (user === undefined && users !== undefined) throw new UsageError('--users requires --user; otherwise use --about');
  if (user !== undefined && about.size > 0 && users !== undefined) {
    throw new UsageError('--users says what is known of --user; leave --about out');
  }
  if (flags.new && data !== undefined) throw new UsageError('--data is for --user, not for --new');
  if (flags.new && heatmap !== undefined) throw new UsageError('--heatmap shows a history; --new has none');
  if (history !== undefined && data !== undefined) throw new UsageError('--data is for --user, not for --history');
}

/** What is known of whom. @throws InputError where neither the log nor the users file knows the user */
export async function queryUserOf(
  flags: HistoryFlags,
  given: string[] | null,
  config: ModelConfig,
  out: Output,
): Promise<UserContext & { history: string[]; times?: number[] }> {
  const { about, users, user: id } = flags;
  if (about.size > 0 && !config.schema.users) out.warn('--about: the model reads no columns of users');
  const context = about.size > 0 ? { user: Object.fromEntries(about) } : {};
  if (given) return { history: given, ...context };
  if (id === undefined) return { history: [], ...context };
  const row = users === undefined ? undefined : (await openUsers(users)).get(id);
  if (users !== undefined && !config.schema.users) out.warn('--users: the model reads no columns of users');
  if (users !== undefined && !row && flags.data === undefined) {
    throw new InputError('unknown-id', `${users}: no user ${JSON.stringify(id)}`, {
      hint: 'give --data PATH, or --new',
    });
  }
  const columns = row ? { user: row } : context;
  if (flags.data === undefined) return { history: [], ...columns };
  const { schema, data } = config;
  const reading = {
    columns: columnsOf(flags, schema.columns),
    context: contextOf(config),
    maxBadRows: flags.maxBadRows,
  };
  const log = await openLog(flags.data, reading);
  // A user whose columns are known may have no events yet.
  if (row && !log.userIds.includes(id)) return { history: [], ...columns };
  return { ...historyOf(log, id, data.minRating), ...columns };
}

/** Says which IDs of a history were skipped. */
export function warnOfUnknown(unknown: readonly string[], total: number, out: Output): void {
  if (unknown.length === 0) return;
  const distinct = [...new Set(unknown)];
  const which = distinct.length === 1 ? 'item' : 'items';
  out.warn(
    `${formatCount(unknown.length)} of ${formatCount(total)} skipped, ${which} unknown to the model: ${examples(distinct, 10)}`,
  );
}

function list(items: readonly Recommendation[]): string {
  const titled = items.some(({ id, title }) => id !== title);
  // The probability that the ranker gives, where there is one.
  const likely = items.some(({ probability }) => probability !== undefined);
  const rows = items.map(({ id, title, score, probability }, i) => [
    ...[`${i + 1}.`, printable(titled ? title : id), score.toFixed(3)],
    ...(likely ? [probability?.toFixed(3) ?? ''] : []),
    ...(titled ? [printable(id)] : []),
  ]);
  return table(['', titled ? 'title' : 'id', 'score', ...(likely ? ['P'] : []), ...(titled ? ['id'] : [])], rows);
}
