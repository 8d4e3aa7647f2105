/**
 * SQLite's `secure_delete` overwrites deleted rows, but when rows move between pages (a page splits, two are joined) their
 * old copies stay in the pages' unused bytes. Here those are overwritten.
 * The format: https://www.sqlite.org/fileformat2.html#b_tree_pages
 */

/** Types of b-tree pages → bytes of their header; other pages hold no unused bytes that SQLite does not overwrite itself. */
const HEADER: ReadonlyMap<number, number> = new Map([
  [2, 12],
  [5, 12],
  [10, 8],
  [13, 8],
]);

/**
 * Overwrites the unused bytes of a page: those between the cells' addresses and the cells, and those of freed blocks.
 * @param page changed in place @param number the page's, from 1 on @param reserved bytes at the end of each page
 * @returns whether any was set
 */
export function scrubPage(page: Buffer, number: number, reserved: number): boolean {
  const at = number === 1 ? 100 : 0;
  const header = HEADER.get(page[at]);
  if (header === undefined) return false;
  const usable = page.length - reserved;
  const from = at + header + 2 * page.readUInt16BE(at + 3);
  const to = page.readUInt16BE(at + 5) || 65_536;
  if (from > to || to > usable) throw new Error(`page ${number} of the store is damaged`);
  let set = clear(page, from, to);
  for (let block = page.readUInt16BE(at + 1); block !== 0; ) {
    const next = page.readUInt16BE(block);
    const size = page.readUInt16BE(block + 2);
    if (size < 4 || block + size > usable || (next !== 0 && next <= block))
      throw new Error(`page ${number} of the store is damaged`);
    set = clear(page, block + 4, block + size) || set;
    block = next;
  }
  return set;
}

function clear(page: Buffer, from: number, to: number): boolean {
  const bytes = page.subarray(from, to);
  if (bytes.every((byte) => byte === 0)) return false;
  bytes.fill(0);
  return true;
}
