/** Formats numbers. */
const LANGUAGE = 'en-US';

export const countText = (n: number): string => Math.round(n).toLocaleString(LANGUAGE);
export const figure = (n: number | null | undefined): string => (n === null || n === undefined ? '–' : n.toFixed(4));
export const plural = (n: number, what: string): string => `${countText(n)} ${what}${n === 1 ? '' : 's'}`;
export const percent = (share: number): string =>
  `${share > 0 && share < 0.005 ? 'below 1' : Math.round(100 * share)}\u00a0%`;

export function bytes(n: number): string {
  const units = ['bytes', 'KB', 'MB', 'GB'];
  let at = 0;
  let size = n;
  while (size >= 1000 && at < units.length - 1) {
    size /= 1000;
    at++;
  }
  return `${at === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[at]}`;
}

export function durationText(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 1) return 'less than 1 s';
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

export function date(iso: string): string {
  return new Date(iso).toLocaleDateString(undefined, {
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
  });
}

/** Three digits are enough of a measured time. */
export const millisecondsText = (ms: number): string => `${Number(ms.toPrecision(3))} ms`;
export const rateText = (n: number): string => (n < 10 ? Number(n.toFixed(1)).toString() : countText(n));
