/** `attune keys`: the file of API keys. */
import { randomBytes } from 'node:crypto';
import { chmod, open, readFile, rename, rm } from 'node:fs/promises';
import { InputError } from '../../data/errors.ts';
import { Keys, type KnownKey } from '../../server/http/keys.ts';
import { Output } from '../common.ts';
import { UsageError } from '../errors.ts';
import type { KeysFlags } from './keys.flags.ts';

export async function runKeys(flags: KeysFlags, action: string): Promise<void> {
  const out = new Output(flags.json);
  if (action === 'add') return add(flags, out);
  if (action === 'list') return list(flags, out);
  if (action === 'remove') return remove(flags, out);
  throw new UsageError(`keys: expected add, list or remove, got ${action}`);
}

/** Only the owner may read and write it. */
const MODE = 0o600;

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

const known = (text: string, file: string): KnownKey[] => (text.trim() === '' ? [] : Keys.parse(text, file).list());

async function add({ keys: file, role, name }: KeysFlags, out: Output): Promise<void> {
  if (role === undefined) throw new UsageError('keys add: --role is missing');
  const chosen = name ?? `${role}-${randomBytes(4).toString('hex')}`;
  const text = await textOf(file);
  if (known(text, file).some((key) => key.name === chosen))
    throw new InputError('already-exists', `${file} has a key ${chosen}`, {
      setting: 'name',
      hint: 'choose another name, or remove that key',
    });
  const { key, line } = Keys.create(chosen, role);
  const start = text === '' || text.endsWith('\n') ? '' : '\n';
  const handle = await open(file, 'a', MODE);
  try {
    await handle.chmod(MODE);
    await handle.appendFile(`${start}${line}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  out.object({ name: chosen, role, key });
  out.line(key);
  out.warn(`${chosen} may ${MAY[role]}; this is the only time that the key is shown`);
}

const MAY = {
  read: 'ask for lists',
  write: 'ask for lists, and add events, items and users',
  admin: 'do everything, replacing models included',
} as const;

async function list({ keys: file }: KeysFlags, out: Output): Promise<void> {
  const found = Keys.parse(await readFile(file, 'utf8'), file).list();
  out.object({ keys: found });
  for (const { name, role } of found) out.line(`${name}  ${role}`);
}

async function remove({ keys: file, name }: KeysFlags, out: Output): Promise<void> {
  if (name === undefined) throw new UsageError('keys remove: --name is missing');
  const text = await readFile(file, 'utf8');
  if (!known(text, file).some((key) => key.name === name))
    throw new InputError('unknown-id', `${file} has no key ${name}`, { setting: 'name' });
  const left = text.split('\n').filter((line) => line.trim().split(/\s+/)[0] !== name);
  const next = `${file}.${process.pid}.tmp`;
  try {
    const handle = await open(next, 'wx', MODE);
    try {
      await handle.writeFile(left.join('\n'));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await chmod(next, MODE);
    await rename(next, file);
  } catch (error) {
    await rm(next, { force: true });
    throw error;
  }
  out.object({ removed: name });
  out.line(`removed ${name}`);
}
