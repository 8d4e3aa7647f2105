/** Names, paths and messages cannot move the cursor, hide text, break a line or fill the screen. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from '../../data/errors.ts';
import { truncate, visible, visibleLines } from '../../data/visible.ts';

/** What a terminal acts upon, or what hides or turns text. */
const ACTS = /[\p{Cc}\p{Cs}\u2028-\u202e\u2066-\u2069\ufeff]/u;
const hostile = fc.string({
  unit: fc.oneof(
    fc.constantFrom('\u001b', '\n', '\r', '\t', '\u009b', '\u202e', '\ud800', '\u007f'),
    fc.string({ unit: 'binary' }),
  ),
});

describe('visible', () => {
  it('writes controls as JavaScript does, and leaves the rest alone', () => {
    expect(visible('a\u001b]0;owned\u0007b')).toBe('a\\x1b]0;owned\\x07b');
    expect(visible('\u009b2J\r\n\t\u202eevil\u2066')).toBe('\\x9b2J\\r\\n\\t\\u202eevil\\u2066');
    const fine = 'Größe, 日本語, 👨\u200d👩\u200d👧, a\\b';
    expect(visible(fine)).toBe(fine);
    expect(visibleLines('a\nb\u001bc')).toBe('a\nb\\x1bc');
  });

  it('no control characters are left in any text; applying it twice changes nothing', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        expect(visible(text)).not.toMatch(ACTS);
        expect(visible(visible(text))).toBe(visible(text));
      }),
      { seed: 5, numRuns: 500 },
    );
  });

  it('long texts keep their start and end', () => {
    expect(truncate('short', 10)).toBe('short');
    expect(truncate(`${'a'.repeat(90)}${'z'.repeat(30)}`, 60)).toBe(
      `${'a'.repeat(40)}… (60 characters left out) …${'z'.repeat(20)}`,
    );
  });
});

describe('InputError', () => {
  it('is one line of bounded length, whatever names it quotes', () => {
    fc.assert(
      fc.property(hostile, (name) => {
        const { message } = new InputError('not-found', `${name}: no such file`, { hint: `give ${name.repeat(400)}` });
        expect(message).not.toMatch(ACTS);
        expect(message.length).toBeLessThan(4100);
      }),
      { seed: 6, numRuns: 200 },
    );
    const cause = new Error('why');
    expect(new InputError('invalid-data', 'a\nb', { cause })).toMatchObject({
      message: 'a b',
      name: 'InputError',
      cause,
    });
  });
});
