/**
 * What a query tells beside items, and what is recommended to somebody of whom little is known: what people like who share
 * the user's columns (model/transitions/segment-prior.ts), or simply what is popular, until events say more.
 */
import { InputError } from '../data/errors.ts';
import type { Bag } from '../data/features/encoder.ts';
import {
  milliseconds,
  packBags,
  SideFeatureEncoder,
  type SideFeatureRows,
  SideFeatureWriter,
} from '../data/features/side-features.ts';
import { toSeconds } from '../data/formats/times.ts';
import type { LoadedModel } from '../model/storage/folder.ts';
import { popularity, weightedPrior } from '../model/transitions/segment-prior.ts';

/** What may be told of a user besides items; models trained with side features read it, others ignore it. */
export interface UserContext {
  /** Columns of the user, as the users file of the training had them: `{ age: '25', city: 'Ulm' }`. */
  user?: Readonly<Record<string, string>>;
  /** Ratings of the history's events, NaN where there is none. */
  ratings?: readonly number[];
  /** Columns of the log, a value for each event of the history: `{ device: ['phone', 'desk'] }`. */
  context?: Readonly<Record<string, readonly string[]>>;
  /** All of it as data/features/side-features.ts encodes it, a token for each event of the history, in place of the others. */
  beside?: SideFeatureRows;
}

export class ColdStart {
  private readonly loaded: LoadedModel;
  private readonly encoder: SideFeatureEncoder | null;
  /** Of the prior and of events to come, which read once more what has been read, and counted where it is unknown. */
  private readonly groups: SideFeatureEncoder | null;

  constructor(loaded: LoadedModel) {
    this.loaded = loaded;
    const { users, events } = loaded.config.schema;
    this.encoder = users || events ? new SideFeatureEncoder({ users, events }) : null;
    this.groups = this.encoder && new SideFeatureEncoder({ users, events });
  }

  /**
   * What stands beside the events of a history; undefined where the model reads items alone.
   * @param positions places in the query of the events that the model knows
   * @param times of all events of the query
   * @throws InputError where ratings or a column do not fit the history
   */
  side(
    told: UserContext,
    positions: readonly number[],
    events: number,
    times?: readonly number[],
  ): SideFeatureRows | undefined {
    const { encoder } = this;
    for (const [name, values] of [['ratings', told.ratings] as const, ...Object.entries(told.context ?? {})]) {
      if (values && values.length !== events) {
        throw new InputError(
          'invalid-value',
          `${name}: one for each of the ${events} items of the history was expected, came ${values.length}`,
        );
      }
    }
    if (!encoder) return undefined;
    const writer = new SideFeatureWriter();
    if (told.beside) {
      for (const i of positions) {
        writer.addRow(told.beside, i);
        writer.endToken();
      }
      return writer.finish();
    }
    const seconds = times && toSeconds(times);
    const unit = times ? milliseconds(times) : 0;
    const user = encoder.userBag(told.user ?? null);
    const dated = (i: number): boolean => times !== undefined && i >= 0 && !Number.isNaN(times[i]);
    for (const i of positions) {
      writer.add(
        encoder.eventBag({
          rating: told.ratings?.[i],
          gap: seconds && dated(i) && dated(i - 1) ? Math.max(0, seconds[i] - seconds[i - 1]) : Number.NaN,
          ms: times && dated(i) && unit > 0 ? times[i] * unit : Number.NaN,
          context: Object.fromEntries(Object.entries(told.context ?? {}).map(([name, values]) => [name, values[i]])),
        }),
      );
      writer.add(user);
      writer.endToken();
    }
    return writer.finish();
  }

  /** What stands beside an event that has not happened: one token; undefined where the model reads items alone. */
  next({ user }: UserContext): SideFeatureRows | undefined {
    const encoder = this.groups;
    return encoder ? packBags([[...encoder.eventBag(null), ...encoder.userBag(user ?? null)]]) : undefined;
  }

  /**
   * Runs `encode` and says which values of users and events the model did not know, by column: they counted as unknown.
   * Nothing else can run meanwhile, so that the counts are those of one query.
   */
  counting<T>(encode: () => T): { result: T; unseen: Record<string, number> } {
    const before = new Map(this.encoder?.unseen);
    const result = encode();
    const counts = [...(this.encoder?.unseen ?? [])].map(([name, n]) => [name, n - (before.get(name) ?? 0)] as const);
    return { result, unseen: Object.fromEntries(counts.filter(([, n]) => n > 0)) };
  }

  /**
   * What is added to the scores [V] where `events` events of the user are known: all there is for none. Null where the
   * events speak for themselves.
   * @throws InputError where nothing is known and the model does not even know what is popular
   */
  prior(told: UserContext, events: number): Float32Array | null {
    const { prior, items } = this.loaded;
    if (prior && this.groups) {
      if (events > 0 && !told.user) return null;
      const bag: Bag = told.user ? this.groups.userBag(told.user) : [];
      return weightedPrior(prior, bag, events, items.length);
    }
    if (events > 0) return null;
    if (items.every(({ count }) => count === undefined)) {
      throw new InputError(
        'unsupported',
        'the history is empty, and the model does not hold what is popular (an earlier version made it): train it again, or name at least one item',
      );
    }
    return popularity(items.map(({ count }) => count ?? 0));
  }
}
