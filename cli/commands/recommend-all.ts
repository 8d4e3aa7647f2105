/** `attune recommend --all`: lists for every user of a log, in Parquet files that one process or many write. */
import type { RecommendFlags } from './recommend.flags.ts';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { InputError } from '../../data/errors.ts';
import type { Query } from '../../model/inference/query.ts';
import { currentTime } from '../../model/inference/query.ts';
import type { Manifest } from '../../interop/dataset/manifest.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { modelVersion } from '../../model/storage/manifest.ts';
import { everyone, listsOf, partitionOf } from '../../recommend/all-users.ts';
import { Recommender } from '../../recommend/recommender.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { openPath } from '../../recommend/sources/sources.node.ts';
import type { RecommendQuery } from '../../recommend/types.ts';
import { onInterrupt, openDevice, Output } from '../common.ts';
import { InterruptedError, UsageError } from '../errors.ts';
import { kebab } from '../flags/names.ts';
import { SharedWork, wordsWithout } from '../shared-work.ts';
import { columnsOf, openAnyLog } from '../input/data.ts';
import { askedAt, shownTime } from '../input/history.ts';
import { readJson } from '../input/json.ts';
import { filesOfLog } from '../input/paths.ts';
import { idsOf, postProcessingOptions } from '../input/post-processing.ts';
import { sourcesOf } from '../input/prepared.ts';
import { contextOf, openUsers } from '../input/side-features.ts';
import { ListsParquet } from '../output/parquet.ts';
import { createProgress, formatCount, printable } from '../output/ui.ts';

/** Flags of a list for one user. */
const SINGLE = ['history', 'user', 'new', 'about', 'items', 'context', 'explain', 'heatmap', 'block', 'head'] as const;

const TERMS = 'recommendations.json';

/** What all files of the lists share; two runs with the same write the same. */
interface Terms {
  formatVersion: 1;
  model: string;
  version: string;
  data: string;
  /** The files of the log: another state of it has other users in a partition. */
  sources: Manifest['sources'];
  partitions: number;
  k: number;
  seen: 'kept' | 'excluded';
  /** Flags that change lists, as they were given. */
  flags: Record<string, unknown>;
  /** ISO date: models that read when they are asked are asked then, unless --at says otherwise. */
  started: string;
}

/** Of a file of lists; beside it as JSON, so that a report covers what other runs and workers have written. */
interface Counts {
  users: number;
  lists: number;
  /** users of whose items the model knows none, and who have no list */
  unknown: number;
}

/** @param typed names of the flags that the user typed */
export async function runRecommendAll(flags: RecommendFlags, typed: ReadonlySet<string>): Promise<void> {
  const out = new Output(flags.json);
  const single = SINGLE.filter((name) => typed.has(name)).map(kebab);
  if (single.length > 0) throw new UsageError(`${single.join(', ')}: for one list; leave that out with --all`);
  const { data, out: dir, partitions, partition } = flags;
  if (data === undefined) throw new UsageError('--all needs the log of the users: --data PATH');
  if (dir === undefined) throw new UsageError('--all needs a folder for the lists: --out DIR');
  if (partition !== undefined && partition > partitions)
    throw new UsageError(`--partition ${partition}: there are ${partitions} (--partitions)`);
  if (partition !== undefined && flags.overwrite)
    throw new UsageError('--overwrite replaces all lists in --out: leave it out with --partition, or delete that file');
  const files = await NodeFiles.create(dir);
  const terms = await openTerms(flags, files, await modelVersion(await openPath(flags.model)));
  const wanted = partition === undefined ? Array.from({ length: partitions }, (_, i) => i) : [partition - 1];
  const left = wanted.filter((i) => !existsSync(path.join(dir, partName(i, partitions))));
  if (flags.queue === undefined) await writePartitions(flags, terms, left, files, out);
  else await sharePartitions(flags, left, out, flags.queue);
  const counts: Counts = { users: 0, lists: 0, unknown: 0 };
  for (const i of wanted) {
    const own = await readJson<Counts>(files, countsName(i, partitions), 'delete it with the file of lists beside it');
    for (const name of ['users', 'lists', 'unknown'] as const) counts[name] += own?.[name] ?? 0;
  }
  const made = left.map((i) => partName(i, partitions));
  report(counts, made, wanted.length - left.length, flags, terms, out);
}

const partName = (partition: number, of: number): string =>
  `part-${String(partition + 1).padStart(5, '0')}-of-${String(of).padStart(5, '0')}.parquet`;

const countsName = (partition: number, of: number): string => partName(partition, of).replace(/parquet$/, 'json');

/** Flags that change lists. */
const LISTED = [
  'users',
  'userColumn',
  'itemColumn',
  'timeColumn',
  'ratingColumn',
  'columns',
  'maxBadRows',
  'at',
  'exclude',
  'where',
  'allow',
  'deny',
  'diversity',
  'cap',
  'calibrate',
  'expose',
  'popularityPenalty',
  'explore',
  'exploreStrength',
  'exploreSeed',
] as const;

/** The terms of the lists in a folder, started here where there are none. @throws InputError where they are other ones */
async function openTerms(flags: RecommendFlags, files: NodeFiles, version: string): Promise<Terms> {
  const { model, data, partitions, k, out } = flags;
  const given = LISTED.flatMap((name) => {
    const value = flags[name];
    const all = value instanceof Map ? [...value] : value;
    const set = Array.isArray(all) && all.length === 0 ? undefined : all;
    return set === undefined ? [] : [[name, set] as const];
  });
  const terms: Terms = {
    formatVersion: 1,
    model,
    version,
    data: data as string,
    sources: sourcesOf(filesOfLog(data as string)),
    partitions,
    k,
    seen: flags.includeSeen ? 'kept' : 'excluded',
    flags: Object.fromEntries(given),
    started: new Date().toISOString(),
  };
  const was = flags.overwrite ? null : await readJson<Terms>(files, TERMS, 'add --overwrite');
  const there = (await files.list()).filter((name) => name.endsWith('.parquet'));
  if (!was) {
    if (there.length > 0 && !flags.overwrite)
      throw new InputError('already-exists', `${out}: holds ${there[0]}, and no ${TERMS} that says what it is`, {
        hint: 'choose an empty or new folder, or add --overwrite',
      });
    for (const name of there) await files.remove(name);
    await files.write(TERMS, `${JSON.stringify(terms, null, 1)}\n`);
    return terms;
  }
  for (const name of ['version', 'data', 'sources', 'partitions', 'k', 'seen', 'flags'] as const) {
    const [before, now] = [was[name], JSON.parse(JSON.stringify(terms[name]))].map((value) => JSON.stringify(value));
    if (before === now) continue;
    const what = { version: 'model', sources: 'state of the log' }[name as string] ?? name;
    throw new InputError('mismatched-data', `${out}: holds lists of another ${what} (${before}, not ${now})`, {
      hint: 'choose another --out, or add --overwrite',
    });
  }
  return was;
}

async function writePartitions(
  flags: RecommendFlags,
  terms: Terms,
  partitions: readonly number[],
  files: NodeFiles,
  out: Output,
): Promise<void> {
  if (partitions.length === 0) return;
  const loaded = await loadModel(await openPath(flags.model));
  const { config, weights } = loaded;
  if (weights.note) out.warn(weights.note);
  const reading = {
    columns: columnsOf(flags, config.schema.columns),
    context: contextOf(config),
    maxBadRows: flags.maxBadRows,
  };
  const ask = await asking(flags);
  const log = await openAnyLog(terms.data, reading, flags.progress);
  const dataset = everyone(log, config.data.minRating ?? undefined);
  const device = await openDevice(flags.device, out);
  const ranges = partitions.map((i) => partitionOf(dataset.userIds.length, i, terms.partitions));
  const total = ranges.reduce((sum, [from, to]) => sum + to - from, 0);
  const bar = createProgress({ total: Math.max(1, total), force: flags.progress });
  const interrupt = onInterrupt(() => {});
  let done = 0;
  try {
    const recommender = await Recommender.of(loaded, { device });
    for (const [i, range] of ranges.entries()) {
      const name = partName(partitions[i], terms.partitions);
      const file = new ListsParquet();
      const counts: Counts = { users: 0, lists: 0, unknown: 0 };
      for await (const lists of listsOf(recommender, dataset, range, (user, query) =>
        ask(recommender, user, query, Date.parse(terms.started)),
      )) {
        if (interrupt.signal.aborted)
          throw new InterruptedError(`stopped; ${i} files are written; the same command continues`);
        for (const { user, items } of lists) {
          counts.users++;
          if (!items) counts.unknown++;
          else if (items.length > 0) counts.lists++;
          await file.add((items ?? []).map(({ id, score }, r) => ({ user, rank: r + 1, item: id, score })));
        }
        bar.update(done + counts.users, { phase: name });
      }
      done += counts.users;
      await files.write(countsName(partitions[i], terms.partitions), `${JSON.stringify(counts)}\n`);
      await files.write(name, await file.finish());
    }
    recommender.close();
  } finally {
    interrupt.end();
    bar.stop();
    device.close();
  }
}

/** Asks workers for the same, a file a job; each reads the log for itself. */
async function sharePartitions(
  flags: RecommendFlags,
  partitions: readonly number[],
  out: Output,
  address: string,
): Promise<void> {
  if (partitions.length === 0) return;
  const shared = await SharedWork.open(address, out, flags.progress);
  try {
    const outcomes = await Promise.all(
      partitions.map(async (i) => {
        const result = await shared.run({
          title: `lists ${i + 1} of ${flags.partitions}`,
          words: [
            'recommend',
            ...wordsWithout(['--queue', '--partition', '--overwrite']),
            '--partition',
            String(i + 1),
          ],
        });
        if (result?.kind === 'refused') throw new InputError('unsupported', `a worker: ${result.reason}`);
        return result;
      }),
    );
    const ended = outcomes.filter((result) => result !== null).length;
    if (ended < outcomes.length)
      throw new InterruptedError(`stopped; ${ended} files are written; the same command continues`);
  } finally {
    await shared.close();
  }
}

/** What is asked for each user. */
async function asking(flags: RecommendFlags) {
  const { k, at, includeSeen } = flags;
  const exclude = flags.exclude === undefined ? [] : await idsOf(flags.exclude, '--exclude');
  const after = await postProcessingOptions(flags);
  const columns = flags.users === undefined ? null : await openUsers(flags.users);
  const silent = { note: () => {} };
  return (
    recommender: Recommender,
    user: string,
    query: Query & { history: string[] },
    started: number,
  ): RecommendQuery => {
    const { readsNow } = recommender;
    const asked =
      at === undefined
        ? { ...query, now: readsNow ? currentTime(query.times, started) : null }
        : askedAt(recommender, query, at, silent);
    const row = columns?.get(user);
    return { ...asked, ...(row && { user: row }), k, exclude, includeSeen, ...after };
  };
}

function report(
  { users, lists, unknown }: Counts,
  files: readonly string[],
  before: number,
  flags: RecommendFlags,
  terms: Terms,
  out: Output,
): void {
  const dir = flags.out as string;
  if (unknown > 0)
    out.warn(`${formatCount(unknown)} users have no list: the model knows none of their items (popular ones: --new)`);
  const at = flags.at === undefined ? terms.started : shownTime(flags.at);
  out.object({
    out: dir,
    users,
    lists,
    unknown,
    k: terms.k,
    seen: terms.seen,
    at,
    model: terms.version,
    files,
    before,
  });
  const there = before > 0 ? `; ${formatCount(before)} files were there before` : '';
  out.line(
    `${formatCount(lists)} lists of ${formatCount(terms.k)} items at most, seen items ${terms.seen}, in ${formatCount(files.length + before)} files: ${printable(dir)}/part-*.parquet (user, rank, item, score)${there}`,
  );
}
