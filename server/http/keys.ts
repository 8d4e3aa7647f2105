/** API keys: a file of hashes, one key a line, each with its role. The keys themselves are shown once and kept nowhere. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { InputError } from '../../data/errors.ts';
import { ROLES, type Role } from './roles.ts';

/** What the server knows of a caller. */
export interface KnownKey {
  name: string;
  role: Role;
}

interface Key extends KnownKey {
  hash: Buffer;
}

const hashOf = (key: string): Buffer => createHash('sha256').update(key).digest();

/** Names are in logs and in the file's lines. */
const NAME = /^[\w.@-]{1,64}$/;

export class Keys {
  private keys: readonly Key[];

  private constructor(keys: readonly Key[]) {
    this.keys = keys;
  }

  /** Reads `NAME ROLE HASH` lines; empty lines and those that start with # are skipped. @throws InputError */
  static parse(text: string, file: string): Keys {
    const keys = readLines(text, file);
    if (keys.length === 0)
      throw new InputError('invalid-data', `${file}: no key in it`, { hint: 'add one with attune keys add' });
    return new Keys(keys);
  }

  /** A new key, and the line that stands for it in the file. 256 bits from the system: no slow hash is needed. */
  static create(name: string, role: Role): { key: string; line: string } {
    if (!NAME.test(name))
      throw new InputError('invalid-value', 'expected 1 to 64 letters, digits and _ . @ -', {
        setting: 'name',
        value: name,
      });
    const key = `attune_${randomBytes(32).toString('base64url')}`;
    return { key, line: `${name} ${role} ${hashOf(key).toString('hex')}` };
  }

  /**
   * Takes what the file has now: keys that are no longer in it are refused from now on, all of them where none is left.
   * @throws InputError where a line makes no sense; then nothing changes
   */
  replace(text: string, file: string): void {
    this.keys = readLines(text, file);
  }

  /** The name and the role of each key, in the file's order. */
  list(): KnownKey[] {
    return this.keys.map(({ name, role }) => ({ name, role }));
  }

  /** The name and the role of a key; null for an unknown one. All hashes are compared, each in constant time. */
  find(key: string): KnownKey | null {
    const hash = hashOf(key);
    let found: Key | null = null;
    for (const known of this.keys) if (timingSafeEqual(known.hash, hash)) found = known;
    return found && { name: found.name, role: found.role };
  }
}

function readLines(text: string, file: string): Key[] {
  const keys = new Map<string, Key>();
  text.split(/\r?\n/).forEach((line, i) => {
    if (/^\s*(#|$)/.test(line)) return;
    const [name, role, hash, more] = line.trim().split(/\s+/);
    const known = NAME.test(name) && ROLES.includes(role as Role) && /^[0-9a-f]{64}$/.test(hash ?? '');
    if (!known || more !== undefined)
      throw new InputError(
        'invalid-data',
        `${file}:${i + 1}: expected NAME ROLE HASH, with a role of ${ROLES.join(', ')}`,
        {
          hint: 'add keys with attune keys add',
        },
      );
    if (keys.has(name)) throw new InputError('invalid-data', `${file}:${i + 1}: the name ${name} is there twice`);
    keys.set(name, { name, role: role as Role, hash: Buffer.from(hash, 'hex') });
  });
  return [...keys.values()];
}
