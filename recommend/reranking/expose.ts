/**
 * Exposure floors: items with some property get at least a given share of a list's exposure. Rank r is exposed by
 * 1 / log2(1 + r), as in NDCG.
 *
 *   - They are spread over the list: one is due at each rank at which they would otherwise be behind their share of the
 *     exposure so far by as much as that rank is worth.
 *   - Of the first ten ranks, of the first twenty, …, and of the whole list they have the share in full.
 *
 * A list longer than ten thus starts like the list of ten. Where so few candidates have the property that the share cannot
 * be reached, they come first, and the best others fill the list.
 */
import { exposureOf } from '../../data/features/exposure.ts';

export interface ExposureFloor {
  /** Above 0, at most 1. */
  share: number;
  has(row: number): boolean;
}

/** Ranks that people see at once. */
const PAGE = 10;
/** Sums of the same weights in another order differ in the last bits, which must not decide. */
const CLOSE = 1e-9;

/** The list so far, as a floor sees it. */
export class FlooredList {
  private readonly floor: ExposureFloor;
  /** [length + 1] exposure of the first r ranks */
  private readonly upTo: Float64Array;
  /** The rank that is filled next. */
  private next = 1;
  private exposure = 0;
  /** Candidates with the property. */
  private left: number;

  /** @param length of the whole list @param left candidates with the property */
  constructor(floor: ExposureFloor, length: number, left: number) {
    this.floor = floor;
    this.left = left;
    this.upTo = new Float64Array(length + 1);
    for (let r = 1; r <= length; r++) this.upTo[r] = this.upTo[r - 1] + exposureOf(r);
  }

  /** Whether the next item must be one with the property. */
  get due(): boolean {
    const { upTo, next: rank, exposure, left } = this;
    const { share } = this.floor;
    const end = Math.min(upTo.length - 1, PAGE * Math.ceil(rank / PAGE));
    const behind = share * upTo[rank] - exposure;
    const reached = exposure + upTo[Math.min(end, rank + left)] - upTo[rank];
    return behind >= exposureOf(rank) - CLOSE || reached < share * upTo[end] - CLOSE;
  }

  has(row: number): boolean {
    return this.floor.has(row);
  }

  add(row: number): void {
    if (this.floor.has(row)) {
      this.exposure += exposureOf(this.next);
      this.left--;
    }
    this.next++;
  }
}
