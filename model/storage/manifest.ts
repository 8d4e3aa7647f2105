/**
 * Which files of a model folder belong together. Every part of a model (config, items, weights, checkpoint …) is written
 * under a name of its own generation; `manifest.json`, replaced last and as a whole, says which are current:
 *
 *   {"formatVersion": 1, "generation": 3, "files": {
 *     "config.json": {"file": "config-000001.json", "bytes": 3045, "sha256": "ba78…"},
 *     "model.safetensors": {"file": "model-000003.safetensors", …}}}
 *
 * What it no longer lists is deleted afterwards, so that a kill at any moment leaves one generation whole: the old one, or
 * the new one. Whatever writes parts of a model uses {@link commit}, whatever reads them {@link Snapshot}.
 *
 * metrics.jsonl, README.md and files that Attune did not write are not parts: they are neither listed nor deleted. Folders of
 * before there was a manifest hold their parts under plain names; the first commit lists them as they are, and `replaced`
 * names those that a commit has replaced but not deleted yet. Packed models
 * hold plain names and a manifest.
 */
import { damaged, InputError } from '../../data/errors.ts';
import { type Content, type Files, piecesOf } from './files.ts';
import { sha256 } from './sha256.ts';

export const MANIFEST = 'manifest.json';
const FORMAT = 1;

/** The parts of a model, config.json first; what each holds: model/storage/folder.ts. */
export const PARTS = [
  'config.json',
  'items.json',
  'model.safetensors',
  'ranker.safetensors',
  'memory.safetensors',
  'users.safetensors',
  'predictions.safetensors',
  'training.bin',
  'guard.json',
  'checkpoint.safetensors',
] as const;
export type Part = (typeof PARTS)[number];

interface Entry {
  /** Its name in the folder. */
  file: string;
  bytes: number;
  sha256: string;
}

type Entries = ReadonlyMap<Part, Entry>;

/** What a manifest says. */
interface Listed {
  generation: number;
  entries: Entries;
  replaced: readonly string[];
}

/** A file that the manifest lists is missing: damage, or another writer in between. */
class MissingFile extends InputError {}

const isPart = (name: string): name is Part => (PARTS as readonly string[]).includes(name);

/** `model.safetensors` of generation 3 is `model-000003.safetensors`. */
export function fileName(part: Part, generation: number): string {
  return part.replace('.', `-${String(generation).padStart(6, '0')}.`);
}

/** The generation of a file that {@link fileName} named; null for any other. */
function generationOf(file: string): number | null {
  const match = /^(\w+)-(\d{6,15})(\.\w+)$/.exec(file);
  return match && isPart(match[1] + match[3]) ? Number(match[2]) : null;
}

/** Whether there are files of a generation, which only {@link commit} names so. */
export const holdsGenerations = (names: readonly string[]): boolean =>
  names.some((name) => generationOf(name) !== null);

/** The parts of a model as one manifest lists them. Each is checked against its size and SHA-256 when it is read. */
export class Snapshot {
  readonly files: Files;
  /** 0 for a folder without a manifest. */
  readonly generation: number;
  /** null without a manifest: the parts have plain names, and it is unknown whether they are whole. */
  private readonly entries: Entries | null;
  /** Files under plain names that the last commit replaced, and had not deleted when it was killed. */
  readonly replaced: readonly string[];

  private constructor(files: Files, generation: number, entries: Entries | null, replaced: readonly string[]) {
    this.files = files;
    this.replaced = replaced;
    this.generation = generation;
    this.entries = entries;
  }

  /** @throws InputError where the manifest is damaged, or missing among files of a generation */
  static async open(files: Files): Promise<Snapshot> {
    const bytes = await files.read(MANIFEST);
    if (bytes) {
      const { generation, entries, replaced } = parse(bytes, `${files.where}/${MANIFEST}`);
      return new Snapshot(files, generation, entries, replaced);
    }
    // The first commit writes a manifest before any file of a generation. Not all folders can be listed (an address cannot).
    const names = await files.list().catch(() => []);
    const lost = names.find((name) => generationOf(name) !== null);
    if (lost !== undefined)
      throw new InputError('damaged-model', `${files.where}/${MANIFEST}: missing, although ${lost} needs it`, {
        hint: 'restore it, or train the model again',
      });
    return new Snapshot(files, 0, null, []);
  }

  get where(): string {
    return this.files.where;
  }

  /** Whether sizes and checksums are known. */
  get listed(): boolean {
    return this.entries !== null;
  }

  /** A part's path, for messages. */
  pathOf(part: Part): string {
    return `${this.where}/${this.entries?.get(part)?.file ?? part}`;
  }

  /** The parts that the folder has. */
  async parts(): Promise<Part[]> {
    const names = this.entries ? [] : await this.files.list();
    return PARTS.filter((part) => this.entries?.has(part) ?? names.includes(part));
  }

  async has(part: Part): Promise<boolean> {
    return (await this.parts()).includes(part);
  }

  /**
   * The whole part, or null where the model has none.
   * @throws InputError, one line, where it is missing, cut short or changed
   */
  async read(part: Part): Promise<Uint8Array | null> {
    const entry = this.entries?.get(part);
    if (!entry) return this.entries ? null : this.files.read(part);
    const bytes = await this.files.read(entry.file);
    const path = this.pathOf(part);
    if (!bytes)
      throw new MissingFile('damaged-model', `${path}: missing, although ${MANIFEST} lists it`, {
        hint: 'restore it, or train the model again',
      });
    const fail = damaged(`${path}: damaged`);
    if (bytes.length !== entry.bytes) fail(`expected ${entry.bytes} bytes, got ${bytes.length}`);
    const hash = hashOf(this.files, [bytes]);
    if (hash !== entry.sha256) fail(`expected SHA-256 ${short(entry.sha256)}, got ${short(hash)}`);
    return bytes;
  }

  /** What the manifest lists; parts under plain names are read once, for their checksums. */
  async list(): Promise<Map<Part, Entry>> {
    if (this.entries) return new Map(this.entries);
    const entries = new Map<Part, Entry>();
    for (const part of await this.parts()) {
      const bytes = await this.files.read(part);
      if (bytes) entries.set(part, { file: part, bytes: bytes.length, sha256: hashOf(this.files, [bytes]) });
    }
    return entries;
  }

  /** @returns whether a writer has replaced the manifest since */
  async outdated(): Promise<boolean> {
    return (await Snapshot.open(this.files)).generation !== this.generation;
  }
}

/** A folder, or what was read of its manifest already. */
export type Source = Files | Snapshot;

export async function snapshotOf(source: Source): Promise<Snapshot> {
  return source instanceof Snapshot ? source : Snapshot.open(source);
}

/** Does `work` on one snapshot of the folder; again where a writer replaced the files meanwhile. */
export async function withSnapshot<T>(source: Source, work: (snapshot: Snapshot) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const snapshot = await snapshotOf(source);
    try {
      return await work(snapshot);
    } catch (error) {
      const again = !(source instanceof Snapshot) && error instanceof MissingFile && attempt < 10;
      if (!again || !(await snapshot.outdated())) throw error;
    }
  }
}

/** What a part is to hold; a function is called when it is its turn, so that not all are in memory at once. */
type Change = Content | null | (() => Promise<Content>);

/**
 * Replaces parts of a model, all of them at once; null removes one. To be called by one writer at a time, under the
 * folder's lock.
 * @param options.fresh start a new model: no other part stays
 * @throws InputError where there is no room or no permission; the folder is as it was then
 */
export async function commit(
  files: Files,
  changes: { readonly [P in Part]?: Change },
  options: { fresh?: boolean } = {},
): Promise<void> {
  const before = await opened(files, options.fresh === true);
  const generation = before.generation + 1;
  const entries = options.fresh ? new Map<Part, Entry>() : new Map(before.entries);
  const written: string[] = [];
  const names = await files.list();
  let replaced: string[] = [];
  try {
    for (const [part, change] of Object.entries(changes) as [Part, Change][]) {
      if (change === null) {
        entries.delete(part);
        continue;
      }
      const pieces = piecesOf(typeof change === 'function' ? await change() : change);
      const file = fileName(part, generation);
      written.push(file);
      await files.write(file, pieces);
      const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
      entries.set(part, { file, bytes, sha256: hashOf(files, pieces) });
    }
    const current = new Set(Array.from(entries.values(), ({ file }) => file));
    const plain = Array.from(before.entries.values(), ({ file }) => file).filter((file) => isPart(file));
    replaced = [...before.replaced, ...plain].filter((file) => names.includes(file) && !current.has(file)).sort();
    await files.write(MANIFEST, manifestText(generation, entries, replaced));
  } catch (error) {
    for (const file of written) await files.remove(file).catch(() => {});
    throw error;
  }
  const current = new Set(Array.from(entries.values(), ({ file }) => file));
  for (const name of names)
    if (!current.has(name) && (replaced.includes(name) || generationOf(name) !== null)) await files.remove(name);
}

/**
 * What a writer starts from. A folder without a manifest gets one first, of the parts that it holds under plain names, if
 * any: so files of a generation never stand without a manifest, unless it was lost.
 */
async function opened(files: Files, fresh: boolean): Promise<Listed> {
  try {
    const snapshot = await Snapshot.open(files);
    const entries = await snapshot.list();
    const { generation, replaced } = snapshot;
    if (!snapshot.listed) await files.write(MANIFEST, manifestText(0, entries));
    return { generation, entries, replaced };
  } catch (error) {
    // A damaged manifest is no reason not to replace the model.
    if (!fresh || !holdsGenerations(await files.list())) throw error;
    const names = await files.list();
    const generation = names.reduce((most, name) => Math.max(most, generationOf(name) ?? 0), 0);
    return { generation, entries: new Map(), replaced: [] };
  }
}

/** The manifest of parts that are stored under their plain names, as in a packed model. */
export function manifestOf(parts: ReadonlyMap<Part, Uint8Array>): string {
  const entries = Array.from(parts, ([part, bytes]): [Part, Entry] => [
    part,
    { file: part, bytes: bytes.length, sha256: sha256([bytes]) },
  ]);
  return manifestText(1, new Map(entries));
}

function manifestText(generation: number, entries: Entries, replaced: readonly string[] = []): string {
  const files = PARTS.flatMap((part) => {
    const entry = entries.get(part);
    return entry ? [`    ${JSON.stringify(part)}: ${JSON.stringify(entry)}`] : [];
  });
  const list = files.length > 0 ? `{\n${files.join(',\n')}\n  }` : '{}';
  const rest = replaced.length > 0 ? `,\n  "replaced": ${JSON.stringify(replaced)}` : '';
  return `{\n  "formatVersion": ${FORMAT},\n  "generation": ${generation},\n  "files": ${list}${rest}\n}\n`;
}

/** What tells a model from others: twelve hex digits of a hash of its parts, but for the state of its training. */
export async function modelVersion(source: Source): Promise<string> {
  const parts = [...(await (await snapshotOf(source)).list())];
  const lines = parts.flatMap(([part, { sha256 }]) =>
    part === 'checkpoint.safetensors' ? [] : [`${part} ${sha256}\n`],
  );
  return sha256([new TextEncoder().encode(lines.join(''))]).slice(0, 12);
}

function parse(bytes: Uint8Array, path: string): Listed {
  const fail = damaged(path);
  let text = '';
  let value: { formatVersion?: unknown; generation?: unknown; files?: unknown; replaced?: unknown } | null = null;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (error) {
    fail(`cut short or damaged (${(error as Error).message})`);
  }
  if (typeof value?.formatVersion !== 'number' || typeof value.files !== 'object' || value.files === null)
    return fail('not the manifest of an Attune model');
  if (value.formatVersion !== FORMAT)
    fail(`format ${value.formatVersion}, this version reads ${FORMAT}; update Attune`);
  const entries = new Map<Part, Entry>();
  for (const [part, entry] of Object.entries(value.files as Record<string, Partial<Entry> | null>)) {
    if (!isPart(part)) return fail(`damaged: ${JSON.stringify(part)} is no part of a model`);
    const { file, bytes: size, sha256: hash } = entry ?? {};
    if (typeof file !== 'string' || (file !== part && fileName(part, generationOf(file) ?? 0) !== file))
      return fail(`damaged: ${part}: expected the name of a file, got ${JSON.stringify(file)}`);
    if (!Number.isSafeInteger(size) || typeof hash !== 'string' || !/^[0-9a-f]{64}$/.test(hash))
      return fail(`damaged: ${part}: expected its bytes and SHA-256`);
    entries.set(part, { file, bytes: size as number, sha256: hash });
  }
  const { generation, replaced = [] } = value;
  if (!Array.isArray(replaced) || !replaced.every((file) => typeof file === 'string' && isPart(file)))
    return fail('damaged: replaced: expected names of parts');
  // Whatever is read is written again as it was: no key is unknown, and none is in it twice.
  if (!Number.isSafeInteger(generation) || manifestText(generation as number, entries, replaced) !== text)
    fail('damaged: not as Attune writes it');
  return { generation: generation as number, entries, replaced };
}

const hashOf = (files: Files, pieces: readonly Uint8Array[]): string => files.sha256?.(pieces) ?? sha256(pieces);

const short = (hash: string): string => `${hash.slice(0, 12)}…`;
