/**
 * Pages of a list. A cursor says which items the pages before it had, as hashes of their IDs, so that no page repeats an
 * item, whatever happened since and whichever replica answers.
 */
import { Problem } from '../http/problem.ts';
import { hashOf } from './catalog.ts';

/** Items that pages may have in all. */
const MOST = 1000;

/** @returns null where there is no further page */
export function cursorAfter(before: readonly number[], items: readonly { id: string }[], k: number): string | null {
  const listed = [...before, ...items.map(({ id }) => hashOf(id))];
  if (items.length < k || listed.length >= MOST) return null;
  return Buffer.from(Uint32Array.from(listed).buffer).toString('base64url');
}

/** The hashes of the items before. @throws Problem */
export function listedBefore(cursor: string | undefined): number[] {
  if (cursor === undefined) return [];
  const bytes = Buffer.from(cursor, 'base64url');
  if (bytes.length % 4 !== 0 || bytes.length === 0 || bytes.toString('base64url') !== cursor)
    throw new Problem(400, 'invalid-request', 'cursor: expected the cursor of an earlier answer', 'cursor');
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readUInt32LE(4 * i));
}
