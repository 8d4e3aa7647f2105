/** API keys: a file of hashes, one key a line, each with its role. The keys themselves are shown once and kept nowhere. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { InputError } from '../../data/errors.ts';

/** What a key may do; each may do what those before it may. */
export const ROLES = ['read', 'write', 'admin'] as const;
export type Role = (typeof ROLES)[number];

interface Key {
  name: string;
  role: Role;
  hash: Buffer;
}

const hashOf = (key: string): Buffer => createHash('sha256').update(key).digest();

export class Keys {
  private readonly keys: readonly Key[];

  constructor(keys: readonly Key[]) {
    this.keys = keys;
  }

  /** Reads `NAME ROLE HASH` lines; empty lines and those that start with # are skipped. @throws InputError */
  static parse(text: string, file: string): Keys {
    const keys: Key[] = [];
    text.split(/\r?\n/).forEach((line, i) => {
      if (/^\s*(#|$)/.test(line)) return;
      const [name, role, hash, ...more] = line.trim().split(/\s+/);
      if (more.length > 0 || !ROLES.includes(role as Role) || !/^[0-9a-f]{64}$/.test(hash ?? ''))
        throw new InputError(
          'invalid-data',
          `${file}:${i + 1}: expected NAME ROLE HASH, with a role of ${ROLES.join(', ')}`,
          {
            hint: 'add keys with attune keys add',
          },
        );
      keys.push({ name, role: role as Role, hash: Buffer.from(hash, 'hex') });
    });
    if (keys.length === 0)
      throw new InputError('invalid-data', `${file}: no key in it`, { hint: 'add one with attune keys add' });
    return new Keys(keys);
  }

  /** A new key, and the line that stands for it in the file. 256 bits from the system: no slow hash is needed. */
  static create(name: string, role: Role): { key: string; line: string } {
    const key = `attune_${randomBytes(32).toString('base64url')}`;
    return { key, line: `${name} ${role} ${hashOf(key).toString('hex')}` };
  }

  /** The name and the role of a key; null for an unknown one. All hashes are compared, each in constant time. */
  find(key: string): { name: string; role: Role } | null {
    const hash = hashOf(key);
    let found: Key | null = null;
    for (const known of this.keys) if (timingSafeEqual(known.hash, hash)) found = known;
    return found && { name: found.name, role: found.role };
  }
}

export const mayCall = (role: Role, needed: Role): boolean => ROLES.indexOf(role) >= ROLES.indexOf(needed);
