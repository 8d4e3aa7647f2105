/** Work that can be interrupted: a generator that yields between its pieces, and gives its result at the end. */
export type Pieces<T> = Generator<void, T, undefined>;

/** Does the work without a pause. */
export function atOnce<T>(work: Pieces<T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

/** @param pause awaited after each piece; it may throw to stop */
export async function inPieces<T>(work: Pieces<T>, pause: () => Promise<void>): Promise<T> {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
    await pause();
  }
}
