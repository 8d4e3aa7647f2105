/** Whom a request is about: a stored user, or a history that the request brings along. */
import type { Context } from '../context.ts';
import type { Subject } from './list.ts';

/** A stored user; of an unknown one nothing is known. */
export async function subjectOf(
  { store, config }: Context,
  user: string,
): Promise<Subject & { revision: number | null }> {
  const stored = await store.user(user, config.limits.history);
  return { user, columns: stored?.columns ?? {}, events: stored?.events ?? [], revision: stored?.revision ?? null };
}
