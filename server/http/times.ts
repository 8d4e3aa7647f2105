import { Problem } from './problem.ts';

/** Milliseconds since 1970. @throws Problem where a text is no ISO 8601 date */
export function timeOf(given: number | string, field: string): number {
  if (typeof given === 'number') return given;
  const time = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/.test(given)
    ? Date.parse(given)
    : Number.NaN;
  if (Number.isNaN(time) || time < 0)
    throw new Problem(400, 'invalid-request', `${field}: expected an ISO 8601 date since 1970, got ${given}`, field);
  return time;
}

/** @throws Problem as `timeOf` does, about the option `now` */
export const optionalTime = (now: number | string | undefined): number | undefined =>
  now === undefined ? undefined : timeOf(now, 'now');
