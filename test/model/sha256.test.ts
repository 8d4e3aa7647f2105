import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256 } from '../../model/storage/sha256.ts';

test('SHA-256 is that of OpenSSL, however the bytes are cut into pieces', () => {
  expect(sha256([new TextEncoder().encode('abc')])).toBe(
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  );
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (pieces) => {
      const hash = createHash('sha256');
      for (const piece of pieces) hash.update(piece);
      expect(sha256(pieces)).toBe(hash.digest('hex'));
    }),
    { numRuns: 300, seed: 1 },
  );
});
