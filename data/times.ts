/**
 * Times as models read them: whole seconds since an earliest event, u32. Only differences count, so that any unit will do;
 * epochs in milliseconds, microseconds or nanoseconds are told by their size and divided.
 */

/** Unknown times (NaN) stand at the start of a history and count as its first known one. */
export function toSeconds(times: ArrayLike<number>, offsets: ArrayLike<number> = [0, times.length]): Uint32Array {
  let least = Number.POSITIVE_INFINITY;
  let most = 0;
  for (let i = 0; i < times.length; i++) {
    if (Number.isNaN(times[i])) continue;
    least = Math.min(least, times[i]);
    most = Math.max(most, Math.abs(times[i]));
  }
  const unit = most < 1e11 ? 1 : most < 1e14 ? 1e3 : most < 1e17 ? 1e6 : 1e9;
  const out = new Uint32Array(times.length);
  for (let u = 0; u + 1 < offsets.length; u++) {
    let known = offsets[u];
    while (known < offsets[u + 1] && Number.isNaN(times[known])) known++;
    for (let i = offsets[u]; i < offsets[u + 1]; i++) {
      const time = times[Math.max(i, Math.min(known, offsets[u + 1] - 1))];
      if (!Number.isNaN(time)) out[i] = Math.min(0xffffffff, Math.round((time - least) / unit));
    }
  }
  return out;
}

const ISO = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?: ?(?:Z|UTC|[+-]\d\d(?::?\d\d)?))?)?$/;

/** A number as it stands, or an ISO date in milliseconds since 1970; NaN for anything else. */
export function parseTime(text: string): number {
  const number = Number(text);
  if (!Number.isNaN(number)) return Number.isFinite(number) ? number : Number.NaN;
  if (!ISO.test(text)) return Number.NaN;
  if (text.length === 10) return Date.parse(text);
  const [, local, zone] = /^(\S{10}[T ][\d:.]+) ?(.*)$/.exec(text) as RegExpExecArray;
  const offset = /^([+-]\d\d):?(\d\d)?$/.exec(zone);
  return Date.parse(local.replace(' ', 'T') + (offset ? `${offset[1]}:${offset[2] ?? '00'}` : 'Z'));
}
