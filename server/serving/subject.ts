/** Whom a request is about: a stored user, or a history that the request brings along. */
import type { ServerConfig } from '../config.ts';
import type { Store } from '../store/store.ts';
import type { Subject } from './lists.ts';

/** A stored user; of an unknown one nothing is known. */
export async function subjectOf(
  { store, config }: { store: Store; config: ServerConfig },
  user: string,
): Promise<Subject & { revision: number | null }> {
  const stored = await store.user(user, config.limits.history);
  return { user, columns: stored?.columns ?? {}, events: stored?.events ?? [], revision: stored?.revision ?? null };
}
