/** Rows of a table whose fields may be in double quotes (RFC 4180). */

/** A quoted field with more line breaks than this is treated as a quote that was never closed. */
const MOST_LINES = 100;

/** A row: its fields and where the next one starts; or what is wrong with it; or `more` if it does not end in the text. */
export type QuotedRow = { fields: string[]; end: number } | { problem: string } | 'more';

/**
 * The row at `start`. A field that starts with a quote ends at the next quote that is not doubled, which must be followed
 * by a delimiter or a line end; quotes elsewhere are literal.
 *
 * @param last whether nothing follows the text, which then ends with a line break
 */
export function quotedRow(text: string, start: number, delimiter: string, last: boolean): QuotedRow {
  const fields: string[] = [];
  let at = start;
  for (;;) {
    if (text[at] !== '"') {
      const newline = text.indexOf('\n', at);
      const next = text.indexOf(delimiter, at);
      if (next >= 0 && (newline < 0 || next < newline)) {
        fields.push(text.slice(at, next));
        at = next + delimiter.length;
        continue;
      }
      if (newline < 0) return 'more';
      fields.push(text.slice(at, newline > at && text[newline - 1] === '\r' ? newline - 1 : newline));
      return { fields, end: newline + 1 };
    }
    let close = text.indexOf('"', at + 1);
    while (close >= 0 && text[close + 1] === '"') close = text.indexOf('"', close + 2);
    const open = close < 0 || (close + 1 >= text.length && !last);
    if (hasLines(text, at, open ? text.length : close, MOST_LINES)) {
      return { problem: `a quote opens here and is not closed within ${MOST_LINES} lines` };
    }
    if (open) return last ? { problem: 'a quote opens here and is not closed' } : 'more';
    fields.push(text.slice(at + 1, close).replaceAll('""', '"'));
    at = close + 1;
    if (text.startsWith(delimiter, at)) at += delimiter.length;
    else if (text[at] === '\n') return { fields, end: at + 1 };
    else if (text[at] === '\r' && at + 1 >= text.length && !last) return 'more';
    else if (text[at] === '\r' && text[at + 1] === '\n') return { fields, end: at + 2 };
    else
      return {
        problem: `a closing quote is followed by ${JSON.stringify(text[at])}, expected a delimiter or a line end`,
      };
  }
}

/** Fields of one line, leniently: for headers and for detecting a file's format. */
export function fieldsOf(line: string, delimiter: string, quoted: boolean): string[] {
  if (delimiter === ' ') return line.trim().split(/\s+/);
  if (!quoted || !line.includes('"')) return line.split(delimiter);
  const row = quotedRow(`${line}\n`, 0, delimiter, true);
  return typeof row === 'object' && 'fields' in row ? row.fields : line.split(delimiter);
}

/** Whether there are more than `most` line breaks in `text` from `from` to `to`. */
function hasLines(text: string, from: number, to: number, most: number): boolean {
  let lines = 0;
  for (let at = text.indexOf('\n', from); at >= 0 && at < to; at = text.indexOf('\n', at + 1)) {
    if (++lines > most) return true;
  }
  return false;
}
