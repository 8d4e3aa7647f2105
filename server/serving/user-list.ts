/** The list of a stored user: the one that is kept, where nothing has changed since, or a new one. */
import type { Context } from '../context.ts';
import type { ListAnswer, ListOptions } from './list.ts';
import { keyOf } from './list-cache.ts';
import { listFor } from './lists.ts';
import { subjectOf } from './subject.ts';

/** The list is shared: nobody may change it. */
export async function listForUser(context: Context, user: string, options: ListOptions): Promise<ListAnswer> {
  const { store, metrics, lists: cache } = context;
  // The time that a request names decides which events have happened.
  if (!cache.enabled || options.now !== undefined) return listFor(context, await subjectOf(context, user), options);
  const key = keyOf(user, options);
  const lists = cache.current();
  const kept = lists.get(key);
  const same = kept && (await store.user(user, 0))?.revision === kept.revision && cache.current() === lists;
  metrics.cached(same === true);
  if (same) return kept.list;
  const subject = await subjectOf(context, user);
  const now = cache.current();
  const list = await listFor(context, subject, options);
  // A user who is not in the store has no revision that would change.
  if (subject.revision !== null) now.set(key, { revision: subject.revision, list });
  return list;
}
