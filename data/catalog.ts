import { findColumn } from './columns.ts';
import { InputError } from './errors.ts';
import type { Format } from './format.ts';
import { RecordParser, type RecordSink } from './records.ts';
import { decodeAll } from './text.ts';

/** What is known of an item besides its ID. */
export interface ItemInfo {
  /** the ID itself where the file has no title */
  title: string;
  /** the other columns by name, empty fields left out */
  attributes: Record<string, string>;
}

/**
 * Reads an items file: CSV or TSV with a header, a RecBole `.item` file, or MovieLens' `movies.dat`
 * (`id::title::genre|genre`). UTF-8, or Latin-1 where it is not. Of several rows with one ID the last counts.
 *
 * @returns items by ID, in file order
 * @throws InputError for an empty or unreadable file, no item column, or a malformed row
 */
export async function readItems(chunks: AsyncIterable<Uint8Array>, source: string): Promise<Map<string, ItemInfo>> {
  const builder = new CatalogBuilder(source);
  const parser = new RecordParser(source, builder);
  parser.push(await decodeAll(chunks, source));
  parser.end();
  if (builder.items.size === 0) throw new InputError(`${source}: no items below the header`);
  return builder.items;
}

class CatalogBuilder implements RecordSink {
  readonly items = new Map<string, ItemInfo>();
  readonly #source: string;
  #header: string[] = [];
  #id = 0;
  #title = 1;

  constructor(source: string) {
    this.#source = source;
  }

  begin(format: Format): void {
    if (format.kind === 'pairs') {
      throw new InputError(`${this.#source}: expected items as CSV or TSV with a header, or id::title::genres`);
    }
    this.#header = format.header ?? ['id', 'title', 'genres'];
    this.#id = findColumn(this.#header, 'item');
    if (this.#id < 0) this.#id = findColumn(this.#header, 'id');
    this.#title = findColumn(this.#header, 'title');
    if (this.#id < 0) {
      const found = this.#header.join(', ');
      throw new InputError(`${this.#source}: no column of item IDs among ${found}; call it item_id`);
    }
  }

  row(fields: string[], line: number): void {
    const header = this.#header;
    if (fields.length !== header.length) {
      return this.bad(line, `expected ${header.length} fields (${header.join(', ')}), found ${fields.length}`);
    }
    const id = fields[this.#id];
    if (id === '') return this.bad(line, 'the item is empty');
    const others = header
      .map((name, i) => [name, fields[i]])
      .filter(([, value], i) => i !== this.#id && i !== this.#title && value !== '');
    this.items.set(id, {
      title: (this.#title >= 0 && fields[this.#title]) || id,
      attributes: Object.fromEntries(others),
    });
  }

  bad(line: number, problem: string): void {
    throw new InputError(`${this.#source}:${line}: ${problem}; mend the row`);
  }
}
