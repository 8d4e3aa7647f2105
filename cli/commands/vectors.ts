/** `attune vectors`: the catalog's item vectors, and users' vectors, for vector databases. */
import type { VectorsFlags } from './vectors.flags.ts';
import { alignItems } from '../../data/splits/align.ts';
import { InputError } from '../../data/errors.ts';
import { npyPieces } from '../../data/formats/npy.ts';
import { splitDataset } from '../../data/splits/split.ts';
import type { Device } from '../../engine/index.ts';
import type { Files } from '../../model/storage/files.ts';
import type { LoadedModel } from '../../model/storage/load-model.ts';
import { requireFinite } from '../../model/inference/ranks.ts';
import { Scorer } from '../../model/inference/scorer.ts';
import type { ScoreQuery } from '../../model/inference/scored.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { settingsOf } from '../../model/inference/ranking-model.ts';
import { aboutAddress, isPostgres } from '../../interop/sources/postgres.node.ts';
import { openDevice, Output } from '../common.ts';
import { UsageError } from '../errors.ts';
import { missingPackage } from '../packages.ts';
import { examples } from '../../train/side-features.ts';
import { columnsOf, openDataset } from '../input/data.ts';
import { openJudged } from '../evaluation.ts';
import { vectorsParquet } from '../output/parquet.ts';
import { contextOf, loadSideFeatures } from '../input/side-features.ts';
import { createProgress, formatCount, printable } from '../output/ui.ts';

type Kind = 'items' | 'users';

/** Vectors and whose they are. */
interface Vectors {
  ids: readonly string[];
  /** [ids, width] */
  values: Float32Array;
  width: number;
}

const CHUNK = 1024;

export async function runVectors(flags: VectorsFlags): Promise<void> {
  const out = new Output(flags.json);
  const targets = targetsOf(flags, out); // wrong usage, before the model is read
  const { loaded } = await openJudged(flags.model, out);
  const kinds: Kind[] = flags.data === undefined ? ['items'] : ['items', 'users'];
  for (const target of targets) await target.check?.(kinds);
  const tower = settingsOf(loaded).items === 'tower';
  const device = tower || flags.data !== undefined ? await openDevice(flags.device, out) : null;
  const all = new Map<Kind, Vectors>();
  try {
    all.set('items', itemVectors(loaded, tower && device ? await towerVectors(device, loaded) : null));
    if (flags.data !== undefined && device) all.set('users', await userVectors(device, loaded, flags, out));
  } finally {
    device?.close();
  }
  const written: Record<string, Record<string, unknown>> = {};
  for (const [kind, { ids, width }] of all) written[kind] = { rows: ids.length, width };
  for (const target of targets) {
    for (const [kind, more] of await target.write(all)) Object.assign(written[kind], more);
  }
  if (loaded.blended) {
    out.note(
      'The product of a user and an item vector is the score of the transformer alone: the item transitions, which are blended in otherwise, are no product of vectors.',
    );
  }
  const { model, out: folder, to } = flags;
  out.object({ model, out: folder, to: to && addressOf(to), blended: loaded.blended !== null, ...written });
}

/** Where vectors go. */
interface Target {
  /** Before anything is computed. @throws InputError */
  check?(kinds: readonly Kind[]): Promise<void>;
  /** Writes all of them, says so, and returns what `--json` has besides. */
  write(all: ReadonlyMap<Kind, Vectors>): Promise<[Kind, Record<string, unknown>][]>;
}

function targetsOf(flags: VectorsFlags, out: Output): Target[] {
  if (flags.out === undefined && flags.to === undefined) throw new UsageError('--out DIR or --to ADDRESS is missing');
  return [
    ...(flags.out === undefined ? [] : [folderTarget(flags.out, flags, out)]),
    ...(flags.to === undefined ? [] : [databaseTarget(flags.to, flags, out)]),
  ];
}

function folderTarget(dir: string, { overwrite }: VectorsFlags, out: Output): Target {
  return {
    async check(kinds) {
      const there = (await (await NodeFiles.create(dir)).list()).filter((name) =>
        kinds.flatMap(namesOf).includes(name),
      );
      if (there.length > 0 && !overwrite) {
        throw new InputError('already-exists', `${dir}: already holds ${there.join(', ')}`, {
          hint: 'add --overwrite to replace them',
        });
      }
    },
    async write(all) {
      const files = await NodeFiles.open(dir);
      for (const [kind, vectors] of all) {
        await write(files, kind, vectors);
        tell(kind, vectors, dir, out);
      }
      return [...all.keys()].map((kind) => [kind, { files: namesOf(kind) }]);
    },
  };
}

function databaseTarget(address: string, { table, overwrite, progress }: VectorsFlags, out: Output): Target {
  const where = addressOf(address);
  return {
    async write(all) {
      const tables = [...all].map(([kind, vectors]) => ({ ...vectors, table: `${table}_${kind}`, kind }));
      const bar = createProgress({ total: tables.reduce((sum, { ids }) => sum + ids.length, 0), force: progress });
      try {
        const { writeVectorTables } = await import('../../interop/vectors/pgvector.node.ts').catch(missingPackage);
        await writeVectorTables(address, tables, {
          overwrite,
          onRows: (rows) => bar.update(rows, { phase: 'writing' }),
        });
      } finally {
        bar.stop();
      }
      for (const { ids, width, kind, table: name } of tables)
        out.line(
          `${formatCount(ids.length)} ${kind}, ${width} numbers each: ${printable(where)}, table ${printable(name)}`,
        );
      return tables.map(({ kind, table: name }) => [kind, { table: name }]);
    },
  };
}

/** A database without its password. @throws InputError */
function addressOf(address: string): string {
  if (isPostgres(address)) return aboutAddress(address).where;
  throw new InputError('invalid-value', 'expected postgres://USER@HOST/DATABASE', { setting: 'to' });
}

const namesOf = (kind: Kind): string[] => [`${kind}.npy`, `${kind}.parquet`, `${kind}.ids.json`];

async function write(files: Files, kind: Kind, { ids, values, width }: Vectors): Promise<void> {
  const [npy, parquet, names] = namesOf(kind);
  await files.write(npy, npyPieces(values, [ids.length, width]));
  await files.write(parquet, await vectorsParquet(ids, values, width));
  await files.write(names, `${JSON.stringify(ids)}\n`);
}

function tell(kind: Kind, { ids, width }: Vectors, dir: string, out: Output): void {
  const [npy, parquet, names] = namesOf(kind).map((name) => `${printable(dir)}/${name}`);
  out.line(`${formatCount(ids.length)} ${kind}, ${width} numbers each: ${npy} (rows as in ${names}), ${parquet}`);
}

/** The item table as users' vectors are compared with it: at length 1 where the model compares by the cosine. */
function itemVectors(loaded: LoadedModel, tower: Float32Array | null): Vectors {
  const table = loaded.tensors.get('items.weight');
  if (table?.shape.length !== 2) throw new InputError('unsupported', 'the model has no table of item vectors');
  const [rows, width] = tower ? [loaded.items.length, table.shape[1]] : table.shape;
  const values = tower ?? Float32Array.from(table.data.subarray(0, rows * width));
  if (settingsOf(loaded).similarity === 'cosine') {
    for (let row = 0; row < rows; row++) {
      const own = values.subarray(row * width, (row + 1) * width);
      const length = Math.sqrt(own.reduce((sum, x) => sum + x * x, 0));
      if (length > 0) own.forEach((x, i) => (own[i] = x / length));
    }
  }
  return { ids: loaded.items.map(({ id }) => id), values: requireFinite(values, 'item vectors'), width };
}

/** What the item tower makes of each item's attributes, on top of its own vector where it has one. */
async function towerVectors(device: Device, loaded: LoadedModel): Promise<Float32Array | null> {
  const { items, tensors, features } = loaded;
  const model = SequenceModel.load(device, settingsOf(loaded), items.length, tensors, features);
  try {
    return await model.towerVectors();
  } finally {
    model.dispose();
  }
}

/** The encoder's state after the whole history of each user of a log who has an item that the model knows. */
async function userVectors(device: Device, loaded: LoadedModel, flags: VectorsFlags, out: Output): Promise<Vectors> {
  const { data, schema } = loaded.config;
  const source = flags.data as string;
  const context = contextOf(loaded.config);
  const reading = { columns: columnsOf(flags, schema.columns), context, maxBadRows: flags.maxBadRows };
  // Whoever has one event has a vector: the k-core is for training.
  const filter = { minInteractions: 1, minRating: data.minRating ?? undefined };
  const log = await openDataset(source, reading, filter, out, flags.progress);
  const known = loaded.items.map(({ id }) => id);
  const { dataset, unknownItems: unknown, unknownEvents } = alignItems(log, known);
  if (unknown.length > 0) {
    out.warn(
      `${formatCount(unknown.length)} items of ${source} are unknown to the model and left out with their ${formatCount(unknownEvents)} interactions: ${examples(unknown)}`,
    );
  }
  const { offsets, items, times, userIds } = dataset;
  const split = await loadSideFeatures(loaded.config, splitDataset(dataset), flags.users, out);
  const users = userIds.flatMap((_, u) => (offsets[u + 1] > offsets[u] ? [u] : []));
  if (users.length === 0)
    throw new InputError('mismatched-data', `${source}: none of its items is known to the model in ${flags.model}`);
  if (users.length < userIds.length) {
    out.note(`${formatCount(userIds.length - users.length)} users have no item that the model knows, so no vector`);
  }
  const settings = settingsOf(loaded);
  const values = new Float32Array(users.length * settings.d);
  const model = SequenceModel.load(device, settings, known.length, loaded.tensors, loaded.features, loaded.path);
  const scorer = new Scorer(model, { k: 1, userVectors: true });
  const bar = createProgress({ total: users.length, force: flags.progress });
  try {
    for (let from = 0; from < users.length; from += CHUNK) {
      const queries = users.slice(from, from + CHUNK).map((u): ScoreQuery => {
        const [begin, end] = [offsets[u], offsets[u + 1]];
        const last = Math.max(begin, end - settings.window);
        const positions = Uint32Array.from({ length: end - last }, (_, i) => last + i);
        return {
          history: items.subarray(begin, end),
          times: times?.subarray(begin, end),
          features: split.side?.tokens(u, positions),
        };
      });
      (await scorer.score(queries)).forEach(({ userVector }, i) => {
        values.set(userVector as Float32Array, (from + i) * settings.d);
      });
      bar.update(Math.min(users.length, from + CHUNK), { phase: 'users' });
    }
  } finally {
    bar.stop();
    scorer.dispose();
    model.dispose();
  }
  return { ids: users.map((u) => userIds[u]), values, width: settings.d };
}
