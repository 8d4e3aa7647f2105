/**
 * The library in a worker, so that a page never waits for it: compiling, recording and adapting happen there. To be called
 * through comlink:
 *
 * ```ts
 * import { wrap } from 'comlink';
 * import type { AttuneWorker } from 'attune/worker';
 *
 * const worker = new Worker(new URL('attune/worker', import.meta.url), { type: 'module' });
 * const recommender = await wrap<AttuneWorker>(worker).load(new URL('shop.attune', location.href).href);
 * const session = await recommender.session({ history: saved });
 * const { items } = await session.update('1193');
 * ```
 *
 * Errors keep their message and name; a user's are called `InputError`.
 */
import { expose, type ProxyMarked, proxy } from 'comlink';
import type { Item } from '../model/storage/config.ts';
import type { Adaptation } from '../model/inference/personalize.ts';
import type { LoadOptions } from './load-options.ts';
import { Recommender } from './recommender.ts';
import type { Answer, PersonalizeOptions, RecommendQuery } from './types.ts';
import type { Session, SessionEvent, SessionOptions } from './session.ts';
import type { ModelSource } from './sources/sources.ts';

/** A session that lives in the worker; see `Session`. */
export class RemoteSession {
  private readonly session: Session;

  constructor(session: Session) {
    this.session = session;
  }

  history(): readonly string[] {
    return this.session.history;
  }

  update(event: SessionEvent, options?: SessionOptions): Promise<Answer> {
    return this.session.update(event, options);
  }

  recommend(options?: SessionOptions): Promise<Answer> {
    return this.session.recommend(options);
  }

  clear(): void {
    this.session.clear();
  }
}

/** A model that lives in the worker; see `Recommender`. */
export class RemoteRecommender {
  private readonly recommender: Recommender;

  constructor(recommender: Recommender) {
    this.recommender = recommender;
  }

  /** What computes, in words. */
  device(): string {
    return this.recommender.device.name;
  }

  items(): readonly Item[] {
    return this.recommender.items;
  }

  recommend(query: RecommendQuery): Promise<Answer> {
    return this.recommender.recommend(query);
  }

  /** See `Recommender.warmUp`. */
  warmUp(k?: number): Promise<void> {
    return this.recommender.warmUp(k);
  }

  session(query: Partial<RecommendQuery> = {}): RemoteSession & ProxyMarked {
    return proxy(new RemoteSession(this.recommender.session(query)));
  }

  /** See `Recommender.personalize`; what it gives can be kept, and given to `adopt` another time. */
  personalize(history: readonly string[], options?: PersonalizeOptions): Promise<Adaptation> {
    return this.recommender.personalize(history, options);
  }

  adopt(adaptation: Adaptation): void {
    this.recommender.adopt(adaptation);
  }

  forget(): void {
    this.recommender.forget();
  }

  /** Frees the model and its device. */
  close(): void {
    this.recommender.close();
  }
}

const worker = {
  /**
   * Opens a model. A relative address counts from this script, not from the page: give `new URL(…, location.href).href`.
   * @throws InputError, one line, when there is no model or it is damaged
   */
  async load(
    source: Exclude<ModelSource, URL | FileList>,
    options: Pick<LoadOptions, 'backend'> = {},
  ): Promise<RemoteRecommender & ProxyMarked> {
    return proxy(new RemoteRecommender(await Recommender.load(source, options)));
  },
};

export type AttuneWorker = typeof worker;

expose(worker);
