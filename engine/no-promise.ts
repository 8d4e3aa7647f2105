/** What a function that must do its work before it returns gave back. @throws Error where that is a promise */
export function refusePromise<T>(who: string, result: T): T {
  if (typeof (result as { then?: unknown } | null | undefined)?.then !== 'function') return result;
  Promise.resolve(result).catch(() => {}); // what it goes on to do fails by itself
  throw new Error(
    `${who}: the function returned a promise, but its work must be done when it returns; pass a function that is not async, and await what it gives afterwards`,
  );
}
