/** `attune recommend` for a model of ratings: the items with the highest predicted rating, or the ratings of given items. */
import type { RecommendFlags } from './recommend.flags.ts';
import { InputError } from '../../data/errors.ts';
import { asWritten, ratingsOf } from '../../data/ratings/ratings.ts';
import { loadConfig, type ModelConfig } from '../../model/storage/config.ts';
import { openPath } from '../../recommend/sources/sources.node.ts';
import { type PredictedRating, RatingPredictor } from '../../recommend/rating-predictor.ts';
import type { PredictQuery, RatedItem } from '../../recommend/rating-query.ts';
import { openDevice, Output } from '../common.ts';
import { parseIds } from '../input/post-processing.ts';
import { examples } from '../../train/side-features.ts';
import { columnsOf, openLog } from '../input/data.ts';
import { UsageError } from '../errors.ts';
import { contextOf, openUsers } from '../input/side-features.ts';
import { formatCount, printable, table } from '../output/ui.ts';

/** Flags that models of ratings do not take. */
const RANKING = [
  'explain',
  'heatmap',
  'block',
  'head',
  'where',
  'allow',
  'deny',
  'diversity',
  'cap',
  'calibrate',
  'expose',
  'popularityPenalty',
] as const;

export async function runRecommendRatings(flags: RecommendFlags, given: ReadonlySet<string>): Promise<void> {
  const out = new Output(flags.json);
  const ranking = RANKING.filter((name) => given.has(name));
  if (ranking.length > 0)
    throw new UsageError(
      `--${ranking[0].replace('P', '-p')}: for models that rank items; ${flags.model} predicts ratings`,
    );
  checkUsage(flags);
  const files = await openPath(flags.model);
  const config = await loadConfig(files);
  const asked = flags.items === undefined ? undefined : parseIds(flags.items, '--items');
  const excluded = new Set(flags.exclude === undefined ? [] : parseIds(flags.exclude, '--exclude'));
  const history = flags.new
    ? []
    : flags.history === undefined
      ? await historyOf(flags, config)
      : parseHistory(flags.history, config);
  const about = await userContextOf(flags, config, out);
  const device = await openDevice(flags.device, out);
  try {
    const predictor = await RatingPredictor.load(files, { device });
    const { note } = predictor.stored.loaded.weights;
    if (note) out.warn(note);
    const rated = new Set(history.map(({ item }) => item));
    const wanted =
      asked ??
      predictor.items.map(({ id }) => id).filter((id) => (flags.includeSeen || !rated.has(id)) && !excluded.has(id));
    const { items, unknown, unseen, levels } = await predictor.predict({ history, items: wanted, ...about });
    predictor.close();
    for (const [name, count] of Object.entries(unseen))
      out.warn(`${formatCount(count)} values of ${printable(name)} are new to the model and count as unknown`);
    tell(unknown.history, 'of the history skipped', out);
    tell(unknown.items, 'asked for', out);
    const best = asked ? items : items.sort((a, b) => b.prediction - a.prediction).slice(0, flags.k);
    out.object({ task: config.task, items: best, levels, unknown, unseen });
    out.line(list(best, config));
  } finally {
    device.close();
  }
}

function checkUsage({ history, user, users, about, data, new: coldStart }: RecommendFlags): void {
  if ([history, user, coldStart || undefined].filter((asked) => asked !== undefined).length !== 1)
    throw new UsageError('no user: give --history ID=RATING,ID=RATING,..., --user ID with --data PATH, or --new');
  if (user !== undefined && data === undefined) throw new UsageError('--user needs the log it is in: --data PATH');
  if (user === undefined && users !== undefined) throw new UsageError('--users requires --user; otherwise use --about');
  if (users !== undefined && about.size > 0)
    throw new UsageError('--users says what is known of --user; leave --about out');
}

/** What is known of the user, and of the moment. @throws InputError */
async function userContextOf(
  { user, users, about, context }: RecommendFlags,
  { schema }: ModelConfig,
  out: Output,
): Promise<Pick<PredictQuery, 'user' | 'context'>> {
  const known = contextOf({ schema });
  for (const name of context.keys()) {
    if (!known.includes(name))
      throw new InputError(
        'unsupported',
        `--context ${name}: the model reads ${known.join(', ') || 'no columns'} of the log`,
      );
  }
  if ((users !== undefined || about.size > 0) && !schema.users)
    out.warn('--users, --about: the model reads no columns of users');
  if (schema.users && user !== undefined && users === undefined && about.size === 0)
    out.warn('the model reads columns of users: without --users PATH nothing is known of them here');
  const row = users === undefined ? undefined : (await openUsers(users)).get(user as string);
  if (users !== undefined && !row) out.warn(`${printable(users)}: nothing of user ${JSON.stringify(user)}`);
  const columns = row ?? (about.size > 0 ? Object.fromEntries(about) : undefined);
  return { ...(columns && { user: columns }), context: Object.fromEntries(context) };
}

function tell(ids: readonly string[], what: string, out: Output): void {
  if (ids.length > 0) out.warn(`${formatCount(ids.length)} ${what}, unknown to the model: ${examples(ids, 10)}`);
}

/** `ID=RATING,…`; an ID may hold a = of its own. */
function parseHistory(text: string, config: ModelConfig): RatedItem[] {
  return parseIds(text, '--history').map((pair) => {
    const at = pair.lastIndexOf('=');
    const rating = at > 0 && pair.slice(at + 1).trim() !== '' ? Number(pair.slice(at + 1)) : Number.NaN;
    if (!Number.isFinite(rating))
      throw new InputError(
        'invalid-value',
        `--history ${pair}: a model of ratings needs each item's rating, as in ${pair.slice(0, at < 1 ? undefined : at)}=4`,
      );
    return {
      item: pair.slice(0, at).trim(),
      rating: config.positive === undefined ? rating : Number(rating >= config.positive),
    };
  });
}

/** What the user of a log rated, oldest first. */
async function historyOf(flags: RecommendFlags, config: ModelConfig): Promise<RatedItem[]> {
  const columns = columnsOf(flags, config.schema.columns);
  const reading = { columns, context: contextOf(config), maxBadRows: flags.maxBadRows };
  const log = await openLog(flags.data as string, reading);
  const ratings = ratingsOf(log, config.task as 'rating' | 'ctr', config.positive);
  const user = ratings.userIds.indexOf(flags.user as string);
  if (user < 0)
    throw new InputError(
      'unknown-id',
      `${log.source}: no user ${JSON.stringify(flags.user)} with ratings; its users are ${examples(ratings.userIds)}`,
    );
  const rows = ratings.order.subarray(ratings.starts[user], ratings.starts[user + 1]);
  const { time, context } = ratings;
  const timed = time && rows.every((row) => !Number.isNaN(time[row]));
  return Array.from(rows, (row) => ({
    item: ratings.itemIds[ratings.item[row]],
    rating: asWritten(ratings.value[row]),
    ...(timed && { time: time[row] }),
    ...(context && { context: Object.fromEntries(context.map((c) => [c.name, c.values[c.rows[row]]])) }),
  }));
}

function list(items: readonly PredictedRating[], config: ModelConfig): string {
  const what = config.task === 'ctr' ? 'probability' : 'rating';
  return table(
    ['', 'title', what, 'median', 'id'],
    items.map(({ id, title, prediction, median }, i) => [
      `${i + 1}.`,
      printable(title),
      prediction.toFixed(3),
      `${median}`,
      printable(id),
    ]),
  );
}
