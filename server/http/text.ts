/** Text that no store keeps as it is: PostgreSQL has no NUL in text, and UTF-8 has no half of a surrogate pair. */

/** What is wrong with a text; null where nothing is. */
export function textFault(text: string): string | null {
  if (text.includes('\0')) return 'a NUL character (U+0000)';
  return /\p{Surrogate}/u.test(text) ? 'half of a surrogate pair' : null;
}

/** What is wrong with an address as it was sent; null where nothing is. */
export function addressFault(url: string): string | null {
  if (/[^\x21-\x7e]/.test(url)) return 'characters that must be percent-encoded, as UTF-8';
  if (!url.includes('%')) return null;
  try {
    return textFault(decodeURIComponent(url));
  } catch {
    return 'a percent sign that does not start a character of UTF-8';
  }
}
