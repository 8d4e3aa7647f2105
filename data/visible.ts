/**
 * Makes untrusted text safe to show: a name, a path or a title must not move the cursor, hide what follows, break a line
 * in two or fill the screen.
 */

/**
 * C0 and C1 controls, DEL, line and paragraph separators, marks that change the direction of text (Trojan Source, Boucher &
 * Anderson 2023), byte-order marks, and halves of surrogate pairs.
 */
const HIDDEN = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu;
const NAMED = new Map([
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
]);

/** The text in one line, control characters escaped as in JavaScript: `\x1b`, `\n`, `\u202e`. */
export function visible(text: string): string {
  return text.replace(HIDDEN, escaped);
}

/** The same for a table or a report: line breaks are kept. */
export function visibleLines(text: string): string {
  return text.replace(HIDDEN, (found) => (found === '\n' ? found : escaped(found)));
}

/** Cuts the middle of a longer text, so that a message keeps its start, and the hint at its end. */
export function truncate(text: string, most: number): string {
  if (text.length <= most) return text;
  // No surrogate pair is cut in two.
  const whole = (at: number): number => (LOW.test(text.charAt(at)) ? at + 1 : at);
  const from = whole(most - Math.floor(most / 3));
  const to = whole(text.length - Math.floor(most / 3));
  return `${text.slice(0, from)}… (${(to - from).toLocaleString('en-US')} characters left out) …${text.slice(to)}`;
}

const LOW = /[\udc00-\udfff]/;
/** Most characters of a message; the longest, which names all settings of a recipe, has half as many. */
const MESSAGE = 4000;

/** A message in one line of bounded length, whatever the names in it contain. */
export function messageLine(message: string): string {
  return truncate(visible(message.replace(/\s*[\r\n]+\s*/g, ' ').trim()), MESSAGE);
}

function escaped(found: string): string {
  const code = found.charCodeAt(0);
  return (
    NAMED.get(found) ??
    (code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`)
  );
}
