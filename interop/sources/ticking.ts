/** Milliseconds between two looks at whether work is to stop. */
const TICK = 200;

/**
 * Awaits work that a database does elsewhere.
 * @param tick called meanwhile; it may throw to stop the work
 * @param stop what makes the work end soon
 */
export async function ticking<T>(work: Promise<T>, tick: () => void, stop: () => void): Promise<T> {
  let stopped: { reason: unknown } | undefined;
  const timer = setInterval(() => {
    try {
      tick();
    } catch (reason) {
      stopped ??= { reason };
      clearInterval(timer);
      stop();
    }
  }, TICK);
  try {
    return await work;
  } catch (error) {
    throw stopped ? stopped.reason : error;
  } finally {
    clearInterval(timer);
    // biome-ignore lint/correctness/noUnsafeFinally: work that ended all the same was to stop
    if (stopped) throw (stopped as { reason: unknown }).reason;
  }
}
