/** Log lines, many a write: a system call for each line costs more than what the line tells of. */

/** Milliseconds that a line waits at most. */
const WAIT = 100;
/** Characters that are written at once. */
const FULL = 2 ** 16;

/** A place for log lines that ends up on standard output. What waits when the process exits is written then. */
export function bufferedLines(out: { write(text: string): unknown }): { write(line: string): void } {
  let waiting = '';
  let timer: NodeJS.Timeout | null = null;
  const flush = (): void => {
    if (timer) clearTimeout(timer);
    timer = null;
    const text = waiting;
    waiting = '';
    if (text !== '') out.write(text);
  };
  process.once('exit', flush);
  return {
    write(line) {
      waiting += line;
      if (waiting.length >= FULL) flush();
      else timer ??= setTimeout(flush, WAIT).unref();
    },
  };
}
