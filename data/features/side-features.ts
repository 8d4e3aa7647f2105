import type { Dataset } from '../dataset.ts';
import { contextAt } from '../log.ts';
import { spanAt } from '../spans.ts';
import type { Bag, UnseenCounts } from './encoder.ts';
import { milliseconds, type SideFeatureEncoder } from './event-encoder.ts';
import { maxBagSize, packBags, type SideFeatureRows, SideFeatureWriter } from './side-rows.ts';

/** The side features of a dataset's users and events, encoded. */
export class SideFeatures {
  readonly encoder: SideFeatureEncoder;
  /** The largest number of entries of a token. */
  readonly maxEntries: number;
  readonly unseen: UnseenCounts = new Map();
  private readonly dataset: Dataset;
  private readonly users: SideFeatureRows | null;
  /** By user: 1 if there are columns. */
  private readonly hasColumns: Uint8Array;
  private readonly events: SideFeatureRows | null;
  private readonly unknownUser: SideFeatureRows;
  private readonly unknownEvent: SideFeatureRows;

  /** @param users columns by user ID; those that are not in it have none */
  constructor(
    encoder: SideFeatureEncoder,
    dataset: Dataset,
    users: ReadonlyMap<string, Readonly<Record<string, string>>> | null,
  ) {
    this.encoder = encoder;
    this.dataset = dataset;
    const { schema } = encoder;
    this.unknownUser = packBags([encoder.userBag(null)]);
    this.unknownEvent = packBags([encoder.eventBag(null)]);
    this.users = schema.users
      ? packBags(dataset.userIds.map((id) => encoder.userBag(users?.get(id) ?? null, this.unseen)))
      : null;
    this.hasColumns = Uint8Array.from(dataset.userIds, (id) => Number(users?.has(id) ?? false));
    this.events = schema.events?.length ? this.encodeEvents() : null;
    this.maxEntries =
      Math.max(maxBagSize(this.users), maxBagSize(this.unknownUser)) +
      Math.max(maxBagSize(this.events), maxBagSize(this.unknownEvent));
  }

  private encodeEvents(): SideFeatureRows {
    const { ratings, clock, timeUnit, times, context = [], offsets } = this.dataset;
    const unit = clock ? milliseconds(clock, timeUnit) : 0;
    const writer = new SideFeatureWriter();
    for (let u = 0; u + 1 < offsets.length; u++) {
      const [from, to] = spanAt(offsets, u);
      for (let at = from; at < to; at++) {
        const time = clock?.[at] ?? Number.NaN;
        const timeBefore = (at > from ? clock?.[at - 1] : undefined) ?? Number.NaN;
        const gapped = times && !Number.isNaN(time) && !Number.isNaN(timeBefore);
        const event = {
          rating: ratings?.[at] ?? Number.NaN,
          gap: gapped ? Math.max(0, (times[at] as number) - (times[at - 1] as number)) : Number.NaN,
          ms: unit > 0 ? time * unit : Number.NaN,
          context: contextAt(context, at),
        };
        writer.add(this.encoder.eventBag(event, this.unseen));
        writer.endToken();
      }
    }
    return writer.finish();
  }

  /** The token of user u's columns; null if the model reads none. */
  userRow(u: number): SideFeatureRows | null {
    const { users } = this;
    if (!users) return null;
    const [from, to] = spanAt(users.starts, u);
    return {
      starts: Uint32Array.of(0, to - from),
      columns: users.columns.subarray(from, to),
      values: users.values.subarray(from, to),
    };
  }

  /** The bag of user u's columns; null if there are none, or the model reads none. */
  knownBag(u: number): Bag | null {
    const row = this.hasColumns[u] ? this.userRow(u) : null;
    return row && Array.from(row.columns, (column, e) => [column, row.values[e] as number]);
  }

  /**
   * Writes a token for each event of user u at `positions` of the dataset.
   * @param hide encode the user, or the events, as unknown
   */
  write(
    writer: SideFeatureWriter,
    u: number,
    positions: ArrayLike<number>,
    hide?: { user: boolean; events: boolean },
  ): void {
    for (let i = 0; i < positions.length; i++) {
      if (hide?.events || !this.events) writer.addRow(this.unknownEvent, 0);
      else writer.addRow(this.events, positions[i] as number);
      if (hide?.user || !this.users) writer.addRow(this.unknownUser, 0);
      else writer.addRow(this.users, u);
      writer.endToken();
    }
  }

  /** One token for user u's next event, of which nothing is known. */
  next(u: number): SideFeatureRows {
    const writer = new SideFeatureWriter();
    writer.addRow(this.unknownEvent, 0);
    writer.addRow(this.users ?? this.unknownUser, this.users ? u : 0);
    writer.endToken();
    return writer.finish();
  }

  /** A token for each event of user u at `positions` of the dataset. */
  tokens(u: number, positions: ArrayLike<number>): SideFeatureRows {
    const writer = new SideFeatureWriter();
    this.write(writer, u, positions);
    return writer.finish();
  }
}
