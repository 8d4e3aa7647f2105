/**
 * Lists of candidates as the ranker reads them: packed, a list after the other, in the order of the positions that they
 * are candidates for. A list is a row for each candidate, and one for each attribute token that any of them has:
 *
 *   rows        c₀ c₁ … c_w  Drama War 1994 …  │  c₀ c₁ …         tokens [R]: items, then attributes from `base` on
 *   pool        candidate c = its row + the mean of its attributes' rows                       sparse [C, R]
 *   states      each row reads s_0 … s_t, and state j is read by the lists of its sequence from position j on
 *   copies      where states read candidates, too, each list has the last N states for itself: a state that has read the
 *               candidates of one position is never read at another
 */
import {
  crossBounds,
  groupRows,
  type Inputs,
  type InputSpec,
  rowGroupLayout,
  type Sparse,
  transposeSparse,
} from '../../engine/index.ts';
import type { ItemTokens } from '../../data/features/item-tokens.ts';

/** Candidates of one position: the token `row` of the sequence that starts at `start`. */
export interface List {
  candidates: ArrayLike<number>;
  row: number;
  start: number;
}

/** What a batch of lists has room for. */
export interface ListRoom {
  /** Tokens of the histories, L. */
  tokens: number;
  /** Candidates, C, and rows, R. */
  candidates: number;
  rows: number;
  /** States that each list has for itself, and of all lists together, M; 0: lists share those of their sequence. */
  states: number;
  copies: number;
  /** Attributes of the candidates, all together; 0: a candidate is its row alone. */
  entries: number;
  /** Whether gradients are asked for. */
  training: boolean;
}

/** Attribute tokens, and the number of the first one: the items of the catalog come before them. */
export interface Vocabulary {
  attributes: ItemTokens | null;
  base: number;
}

const u32 = (n: number) => ({ shape: [n], dtype: 'u32' as const });
const f32 = (n: number) => ({ shape: [n], dtype: 'f32' as const });

/** Rows and entries that lists take, by their candidates. */
export function sizeOfLists(lists: readonly ArrayLike<number>[], { attributes }: Vocabulary) {
  let [rows, entries] = [0, 0];
  for (const list of lists) {
    rows += list.length;
    if (!attributes) continue;
    const distinct = new Set<number>();
    for (let i = 0; i < list.length; i++) {
      for (const u of attributes.of[list[i]]) distinct.add(u);
      entries += attributes.of[list[i]].length + 1;
    }
    rows += distinct.size;
  }
  return { rows, entries };
}

/** The arrays of a batch of lists, for `Inputs`. */
export function listSpec({ tokens, candidates, rows, copies, entries, training }: ListRoom) {
  const groups = (n: number) => u32(rowGroupLayout(n).words);
  const keys = copies > 0 ? copies : tokens;
  return {
    /** [C] the candidates, and the row of the token that they are candidates after. */
    candidates: u32(candidates),
    at: u32(candidates),
    /** [R] item or attribute, position in the sequence, and what each row reads. */
    tokens: u32(rows),
    positions: u32(rows),
    start: u32(rows),
    end: u32(rows),
    /** [L] or [M] the rows that read each state. */
    from: u32(keys),
    to: u32(keys),
    ...(copies > 0 ? { copies: u32(copies) } : {}),
    ...(entries > 0 ? { poolStarts: u32(candidates + 1), poolColumns: u32(entries), poolValues: f32(entries) } : {}),
    ...(training
      ? {
          candidateGroups: groups(candidates),
          atGroups: groups(candidates),
          tokenGroups: groups(rows),
          positionGroups: groups(rows),
          ...(copies > 0 ? { copyGroups: groups(copies) } : {}),
          ...(entries > 0
            ? { transposedStarts: u32(rows + 1), transposedColumns: u32(entries), transposedValues: f32(entries) }
            : {}),
        }
      : {}),
  } satisfies InputSpec;
}

/** The arrays on the device, as the ranker takes them. */
export function listTokens(t: Arrays, { candidates, rows, copies }: ListRoom) {
  const { poolStarts, poolColumns, poolValues, transposedStarts, transposedColumns, transposedValues } = t;
  const forward = poolStarts &&
    poolColumns &&
    poolValues && { starts: poolStarts, columns: poolColumns, values: poolValues };
  const transposed = transposedStarts &&
    transposedColumns &&
    transposedValues && { starts: transposedStarts, columns: transposedColumns, values: transposedValues };
  const pool: Sparse | undefined = forward && { shape: [candidates, rows], forward, transposed };
  const { start, end, from, to } = t;
  return {
    candidates: t.candidates,
    at: t.at,
    tokens: t.tokens,
    positions: t.positions,
    pool,
    bounds: { start, end, from, to },
    ...(copies > 0 ? { copies: t.copies } : {}),
  };
}

type Arrays = Inputs<ReturnType<typeof listSpec>>['tensors'];
type Host = Inputs<ReturnType<typeof listSpec>>['host'];

/** Where a list starts: its first row, candidate and copy. */
interface Start {
  row: number;
  candidate: number;
  copy: number;
}

/** Writes lists into the arrays of a batch. */
export class ListPacker {
  private readonly room: ListRoom;
  private readonly vocabulary: Vocabulary;
  private readonly host: Host;
  /** Of each packed list, and what follows the last. */
  private starts: Start[] = [];
  private pool = { starts: [0], columns: [] as number[], values: [] as number[] };

  constructor(room: ListRoom, vocabulary: Vocabulary, host: Host) {
    this.room = room;
    this.vocabulary = vocabulary;
    this.host = host;
  }

  /**
   * Packs lists, positions rising within a sequence, sequences one after the other.
   * @returns how many of them there was room for
   */
  pack(lists: readonly List[]): number {
    for (const array of Object.values(this.host)) array?.fill(0);
    this.starts = [{ row: 0, candidate: 0, copy: 0 }];
    this.pool = { starts: [0], columns: [], values: [] };
    const count = lists.findIndex((list) => !this.add(list));
    const packed = count < 0 ? lists : lists.slice(0, count);
    if (this.room.copies > 0) this.readCopies(packed);
    else this.readStates(packed);
    this.writePool();
    if (this.room.training) this.group();
    return packed.length;
  }

  /** Writes a list, its candidates first; false where there is no room left. */
  private add({ candidates, row, start }: List): boolean {
    const { host, room, pool } = this;
    const { attributes, base } = this.vocabulary;
    const width = candidates.length;
    const first = this.starts[this.starts.length - 1];
    /** Attribute token → its row. */
    const rows = new Map<number, number>();
    const of = Array.from(candidates, (item) => attributes?.of[item] ?? []);
    for (const u of of.flatMap((own) => [...own])) if (!rows.has(u)) rows.set(u, first.row + width + rows.size);
    const next = { row: first.row + width + rows.size, candidate: first.candidate + width, copy: first.copy };
    next.copy += Math.min(room.states, row - start + 1);
    if (next.row > room.rows || next.candidate > room.candidates || next.copy > room.copies) return false;
    host.candidates.set(candidates, first.candidate);
    host.at.fill(row, first.candidate, next.candidate);
    host.tokens.set(candidates, first.row);
    for (const [u, at] of rows) host.tokens[at] = base + u;
    host.positions.fill(row - start, first.row, next.row);
    for (let k = first.copy; k < next.copy; k++) host.copies?.fill(row + 1 + k - next.copy, k, k + 1);
    of.forEach((own, c) => {
      pool.columns.push(first.row + c);
      pool.values.push(1);
      for (const u of own) {
        pool.columns.push(rows.get(u) as number);
        pool.values.push(1 / own.length);
      }
      pool.starts.push(pool.columns.length);
    });
    this.starts.push(next);
    return true;
  }

  /** Each list reads the states of its sequence up to its position: state j is read by the lists from j on. */
  private readStates(lists: readonly List[]): void {
    const { host, starts } = this;
    for (let p = 0; p < lists.length; ) {
      let last = p;
      while (last + 1 < lists.length && lists[last + 1].start === lists[p].start) last++;
      const { start } = lists[p];
      let q = p;
      for (let j = start; j <= lists[last].row; j++) {
        while (lists[q].row < j) q++;
        host.from[j] = starts[q].row;
        host.to[j] = starts[last + 1].row;
      }
      for (; p <= last; p++) {
        host.start.fill(start, starts[p].row, starts[p + 1].row);
        host.end.fill(lists[p].row + 1, starts[p].row, starts[p + 1].row);
      }
    }
  }

  /** Each list reads its own copies, and is read by them. */
  private readCopies(lists: readonly List[]): void {
    const { host, starts } = this;
    const offsets = (name: 'row' | 'copy') => starts.map((first) => first[name]);
    const bounds = crossBounds(offsets('row'), offsets('copy'), this.room.rows, this.room.copies);
    if (lists.length > 0) for (const name of ['start', 'end', 'from', 'to'] as const) host[name].set(bounds[name]);
  }

  private writePool(): void {
    const { host, room, pool } = this;
    if (!host.poolStarts || !host.poolColumns || !host.poolValues) return;
    host.poolStarts.set(pool.starts);
    host.poolStarts.fill(pool.columns.length, pool.starts.length);
    host.poolColumns.set(pool.columns);
    host.poolValues.set(pool.values);
    if (!host.transposedStarts || !host.transposedColumns || !host.transposedValues) return;
    const columns = host.poolColumns.subarray(0, pool.columns.length);
    const transposed = transposeSparse({ starts: host.poolStarts, columns, values: host.poolValues }, room.rows);
    host.transposedStarts.set(transposed.starts);
    host.transposedColumns.set(transposed.columns);
    host.transposedValues.set(transposed.values);
  }

  private group(): void {
    const { host, room } = this;
    const { row, candidate, copy } = this.starts[this.starts.length - 1];
    groupRows(host.candidates, candidate, room.candidates, host.candidateGroups);
    groupRows(host.at, candidate, room.candidates, host.atGroups);
    groupRows(host.tokens, row, room.rows, host.tokenGroups);
    groupRows(host.positions, row, room.rows, host.positionGroups);
    if (host.copies) groupRows(host.copies, copy, room.copies, host.copyGroups);
  }
}
