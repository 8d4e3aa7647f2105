import { duplicates, findColumn } from './columns.ts';
import { InputError } from '../errors.ts';
import type { Format } from './format.ts';
import type { RecordSink } from './records.ts';
import { readRecords, type SourceOptions } from './source.ts';
import { type Encoding, latin1Of } from './text.ts';

/** The title and attributes of an item. */
export interface ItemInfo {
  /** the ID if the file has no title */
  title: string;
  /** the other columns by name, empty fields left out */
  attributes: Readonly<Record<string, string>>;
}

export interface CatalogItem extends ItemInfo {
  id: string;
}

export type CatalogOptions = Pick<SourceOptions, 'openParquetWorker'>;

/**
 * Reads an items file: CSV or TSV with a header, a RecBole `.item` file, or MovieLens' `movies.dat`
 * (`id::title::genre|genre`), optionally gzip-compressed; or Parquet. UTF-8, else Latin-1. If several rows have the same
 * ID, the last one counts.
 *
 * @returns items by ID, in file order
 * @throws InputError for an empty or unreadable file, no item column, or a malformed row
 */
export async function readItems(
  chunks: AsyncIterable<Uint8Array>,
  source: string,
  options: CatalogOptions = {},
): Promise<Map<string, ItemInfo>> {
  return readInfos(chunks, source, ITEM_FILE, options);
}

/**
 * Reads a users file: CSV or TSV with a header, a RecBole `.user` file, or MovieLens' `users.dat`
 * (`id::gender::age::occupation::zip`). Otherwise as `readItems`; users have no titles.
 *
 * @returns columns by user ID, in file order, empty fields left out
 * @throws InputError as `readItems`
 */
export async function readUsers(
  chunks: AsyncIterable<Uint8Array>,
  source: string,
  options: CatalogOptions = {},
): Promise<Map<string, Record<string, string>>> {
  const infos = await readInfos(chunks, source, USER_FILE, options);
  return new Map([...infos].map(([id, { attributes }]) => [id, attributes]));
}

/** Files of items and of users: the role of the IDs, and the columns of a file without a header. */
interface FileKind {
  role: 'item' | 'user';
  plain: string[];
  titled: boolean;
}

const ITEM_FILE: FileKind = { role: 'item', plain: ['id', 'title', 'genres'], titled: true };
const USER_FILE: FileKind = { role: 'user', plain: ['id', 'gender', 'age', 'occupation', 'zip'], titled: false };

async function readInfos(
  chunks: AsyncIterable<Uint8Array>,
  source: string,
  kind: FileKind,
  { openParquetWorker }: CatalogOptions,
): Promise<Map<string, ItemInfo>> {
  const builder = new CatalogBuilder(source, kind);
  await readRecords(chunks, source, builder, { catalog: true, ...(openParquetWorker && { openParquetWorker }) });
  if (builder.items.size === 0) throw new InputError('too-little-data', `${source}: no ${kind.role}s below the header`);
  return builder.items;
}

class CatalogBuilder implements RecordSink {
  readonly items = new Map<string, ItemInfo>();
  readonly #source: string;
  readonly #kind: FileKind;
  #header: string[] = [];
  #id = 0;
  #title = 1;
  /** first line with bytes that are not UTF-8 */
  #escaped: number | null = null;

  constructor(source: string, kind: FileKind) {
    this.#source = source;
    this.#kind = kind;
  }

  begin({ header, named }: Format): number[] {
    const { role } = this.#kind;
    this.#header = named ? header : this.#kind.plain;
    this.#id = findColumn(this.#header, role);
    if (this.#id < 0) this.#id = findColumn(this.#header, 'id');
    this.#title = this.#kind.titled ? findColumn(this.#header, 'title') : -1;
    if (this.#id < 0) {
      const found = this.#header.join(', ');
      throw new InputError('missing-column', `${this.#source}: no column of ${role} IDs among ${found}`, {
        hint: `call it ${role}_id`,
      });
    }
    const [twice] = duplicates(this.#header);
    if (twice !== undefined) {
      throw new InputError('missing-column', `${this.#source}: two columns are called ${JSON.stringify(twice)}`, {
        hint: 'rename one',
      });
    }
    return [this.#id];
  }

  row(fields: string[], line: number, escaped: boolean): void {
    if (escaped) this.#escaped ??= line;
    const header = this.#header;
    if (fields.length !== header.length) {
      return this.bad(line, `expected ${header.length} fields (${header.join(', ')}), found ${fields.length}`);
    }
    const id = fields[this.#id];
    if (!id) return this.bad(line, `the ${this.#kind.role} is empty`);
    const others = header
      .map((name, i) => [name, fields[i]])
      .filter(([, value], i) => i !== this.#id && i !== this.#title && value !== '');
    this.items.set(id, {
      title: (this.#title >= 0 && fields[this.#title]) || id,
      attributes: Object.fromEntries(others),
    });
  }

  bad(line: number, problem: string): void {
    throw new InputError('invalid-data', `${this.#source}:${line}: ${problem}`, { hint: 'fix the row' });
  }

  note(): void {} // comments and the like are not reported

  end(encoding: Encoding): void {
    if (encoding === 'damaged' && this.#escaped !== null) {
      this.bad(this.#escaped, 'is not UTF-8, unlike the rest of the file');
    }
    if (encoding !== 'latin1') return;
    const items = [...this.items];
    this.items.clear();
    for (const [id, { title, attributes }] of items) {
      const decoded = Object.entries(attributes).map(([name, value]) => [name, latin1Of(value)]);
      this.items.set(latin1Of(id), { title: latin1Of(title), attributes: Object.fromEntries(decoded) });
    }
  }
}
