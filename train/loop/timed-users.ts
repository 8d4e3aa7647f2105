/** How long ranking all users will take, from ranking some of them. */

/** Users that are ranked at most; no more than an eighth of them all. */
const TIMED = 64;

/**
 * Ranks some users twice: the first run compiles, the second is timed.
 * @returns milliseconds of the second run, and of one for all users in proportion
 */
export async function timeUsers(
  users: Uint32Array,
  rank: (some: Uint32Array) => Promise<unknown>,
): Promise<{ some: number; all: number }> {
  const part = users.slice(0, Math.max(1, Math.min(TIMED, Math.floor(users.length / 8))));
  await rank(part);
  const started = performance.now();
  await rank(part);
  const some = performance.now() - started;
  return { some, all: (some * users.length) / Math.max(1, part.length) };
}
