import type { Dataset } from '../dataset.ts';
import { contextAt } from '../log.ts';
import { spanAt } from '../spans.ts';
import type { Bag, UnseenCounts } from './encoder.ts';
import { hasRequestColumns, milliseconds, type Moment, type SideFeatureEncoder } from './event-encoder.ts';
import { maxBagSize, packBags, type SideFeatureRows, SideFeatureWriter } from './side-rows.ts';

/** No event is asked for at a known time. */
export const UNKNOWN_TIME = -1;

/** The side features of a dataset's users and events, encoded. */
export class SideFeatures {
  readonly encoder: SideFeatureEncoder;
  /** The largest number of entries of a token. */
  readonly maxEntries: number;
  readonly unseen: UnseenCounts = new Map();
  private readonly dataset: Dataset;
  /** Milliseconds of a unit of its clock; 0 where it tells no dates. */
  private unit: number | undefined;
  private readonly users: SideFeatureRows | null;
  /** By user: 1 if there are columns. */
  private readonly hasColumns: Uint8Array;
  private readonly events: SideFeatureRows | null;
  private readonly unknownUser: SideFeatureRows;
  private readonly unknownEvent: SideFeatureRows;
  /** Whether the model reads when the next event is asked for. */
  private readonly readsRequest: boolean;

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
    this.readsRequest = hasRequestColumns(schema);
    const request = packBags([encoder.requestBag({ gap: 0, ms: 0 }), encoder.requestBag(null)]);
    this.maxEntries =
      Math.max(maxBagSize(this.users), maxBagSize(this.unknownUser)) +
      Math.max(maxBagSize(this.events), maxBagSize(this.unknownEvent)) +
      maxBagSize(request);
  }

  private encodeEvents(): SideFeatureRows {
    const { ratings, context = [], offsets } = this.dataset;
    const writer = new SideFeatureWriter();
    for (let u = 0; u + 1 < offsets.length; u++) {
      const [from, to] = spanAt(offsets, u);
      for (let at = from; at < to; at++) {
        const event = {
          rating: ratings?.at(at) ?? Number.NaN,
          ...this.moment(at > from ? at - 1 : UNKNOWN_TIME, at),
          context: contextAt(context, at),
        };
        writer.add(this.encoder.eventBag(event, this.unseen));
        writer.endToken();
      }
    }
    return writer.finish();
  }

  /** When the event at a position of the dataset is. @param before the position of the event before it */
  private moment(before: number, at: number): Moment {
    const { clock, timeUnit, times } = this.dataset;
    this.unit ??= clock ? milliseconds(clock, timeUnit) : 0;
    const time = clock?.at(at) ?? Number.NaN;
    const timed = before !== UNKNOWN_TIME && !Number.isNaN(time) && !Number.isNaN(clock?.at(before) ?? Number.NaN);
    const gap = timed && times ? (times.at(at) as number) - (times.at(before) as number) : Number.NaN;
    return {
      gap: Math.max(0, gap),
      ms: this.unit > 0 ? time * this.unit : Number.NaN,
    };
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
   * @param asked positions of the events whose times they are asked about: of each the next one; UNKNOWN_TIME for none
   * @param hide encode the user, or the events, as unknown
   */
  write(
    writer: SideFeatureWriter,
    u: number,
    positions: ArrayLike<number>,
    asked: ArrayLike<number>,
    hide?: { user: boolean; events: boolean },
  ): void {
    for (let i = 0; i < positions.length; i++) {
      const [at, next] = [positions[i] as number, asked[i] as number];
      if (hide?.events || !this.events) writer.addRow(this.unknownEvent, 0);
      else writer.addRow(this.events, at);
      if (hide?.user || !this.users) writer.addRow(this.unknownUser, 0);
      else writer.addRow(this.users, u);
      if (this.readsRequest) writer.add(this.encoder.requestBag(next === UNKNOWN_TIME ? null : this.moment(at, next)));
      writer.endToken();
    }
  }

  /** One token for user u's next event, of which nothing is known. */
  next(u: number): SideFeatureRows {
    const writer = new SideFeatureWriter();
    writer.addRow(this.unknownEvent, 0);
    writer.addRow(this.users ?? this.unknownUser, this.users ? u : 0);
    writer.add(this.encoder.requestBag(null));
    writer.endToken();
    return writer.finish();
  }

  /**
   * A token for each event of user u at `positions` of the dataset.
   * @param request the position of the event at whose time the next one is asked for; nothing else of it is read
   */
  tokens(u: number, positions: ArrayLike<number>, request = UNKNOWN_TIME): SideFeatureRows {
    const writer = new SideFeatureWriter();
    this.write(writer, u, positions, [...Array.from(positions).slice(1), request]);
    return writer.finish();
  }
}
