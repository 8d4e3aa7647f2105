/** Characters of a query in a message. */
const SHOWN = 60;

/** A source as messages name it: in one line, and not too long. */
export function displayName(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > SHOWN ? `${line.slice(0, SHOWN - 1)}…` : line;
}
