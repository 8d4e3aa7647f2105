/** A lock file that keeps two trainings out of one folder. */
import { readFileSync, rmSync } from 'node:fs';
import { link, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { InputError } from '../../data/errors.ts';
import { cleanTemporary, explain, temporaryPath } from './files.node.ts';

export const LOCK_NAME = 'attune.lock';
/** A lock file without readable content is being written, or was when its writer died; after so long it is stale. */
const UNREADABLE_MS = 10_000;

interface Owner {
  pid: number;
  host: string;
  /** Tells a process from a later one with the same number: boot and start tick on Linux, '' where unknown. */
  born: string;
  since: string;
}

export interface FolderLock {
  /** Gives the folder free; further calls do nothing. Exit of the process does it too. */
  release(): Promise<void>;
}

/**
 * Takes the folder for this process and clears temporary files that killed writers left in it. A lock whose process
 * is dead (same host) is taken over; one from another host cannot be checked and is respected.
 * @throws InputError naming the owner when another training holds it
 */
export async function lockFolder(dir: string): Promise<FolderLock> {
  const file = path.join(dir, LOCK_NAME);
  const owner: Owner = {
    pid: process.pid,
    host: os.hostname(),
    born: bornOf(process.pid) ?? '',
    since: new Date().toISOString(),
  };
  const content = JSON.stringify(owner);
  for (let attempt = 0; attempt < 20; attempt++) {
    if (await tryCreate(file, content)) {
      const release = releaseOnExit(file, content);
      await cleanTemporary(dir);
      return { release };
    }
    await removeStale(dir, file);
  }
  throw new InputError('locked', `${dir}: could not take the lock ${file}`, {
    hint: 'delete that file if no training runs there',
  });
}

/** Whether a training holds the folder, as far as can be seen from here. */
export async function isLocked(dir: string): Promise<boolean> {
  const content = await readFile(path.join(dir, LOCK_NAME), 'utf8').catch(() => null);
  const owner = content === null ? null : parseOwner(content);
  return owner !== null && (owner.host !== os.hostname() || isAlive(owner));
}

/** Removes the lock of a process on another host, which who calls knows to be gone. */
export async function dropForeignLock(dir: string): Promise<void> {
  const file = path.join(dir, LOCK_NAME);
  const content = await readFile(file, 'utf8').catch(() => null);
  const owner = content === null ? null : parseOwner(content);
  if (owner && owner.host !== os.hostname()) await rm(file, { force: true });
}

/** Creates the lock with its content in one step (a hard link fails when the name exists). */
async function tryCreate(file: string, content: string): Promise<boolean> {
  const temporary = temporaryPath(file);
  try {
    await writeFile(temporary, content, { flag: 'wx' });
    await link(temporary, file);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EEXIST' || code === 'ENOENT') return false;
    if (code === 'ENOSPC' || code === 'EACCES' || code === 'EROFS') throw explain(error, file, 'write');
    return createPlain(file, content);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** For file systems without hard links. */
async function createPlain(file: string, content: string): Promise<boolean> {
  try {
    const handle = await open(file, 'wx');
    await handle.writeFile(content);
    await handle.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw explain(error, file, 'write');
  }
}

/** Removes the lock when its owner is dead, throws when it may be alive. */
async function removeStale(dir: string, file: string): Promise<void> {
  const content = await readFile(file, 'utf8').catch(() => null);
  if (content === null) return;
  const owner = parseOwner(content);
  if (!owner) {
    const age = Date.now() - ((await stat(file).catch(() => null))?.mtimeMs ?? 0);
    if (age < UNREADABLE_MS)
      throw new InputError('locked', `${dir}: another training is just starting here`, { hint: 'try again' });
  } else if (owner.host !== os.hostname() || isAlive(owner)) {
    throw new InputError(
      'locked',
      `${dir}: another training (process ${owner.pid} on ${owner.host}, since ${owner.since}) writes here`,
      { hint: `choose another folder, or delete ${file} if that process is gone` },
    );
  }
  // Between reading and now someone else may have taken it over: move it aside, look again, and put a live one back.
  const aside = temporaryPath(file);
  try {
    await rename(file, aside);
    if ((await readFile(aside, 'utf8')) !== content) await link(aside, file).catch(() => {});
  } catch {
    return; // gone already: the next attempt sees what is there
  } finally {
    await rm(aside, { force: true });
  }
}

function parseOwner(content: string): Owner | null {
  try {
    const owner = JSON.parse(content) as Owner;
    return Number.isInteger(owner.pid) && owner.pid > 0 && typeof owner.host === 'string' ? owner : null;
  } catch {
    return null;
  }
}

function isAlive(owner: Owner): boolean {
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  const born = bornOf(owner.pid);
  return born === null || !owner.born || born === owner.born;
}

/** Boot and start tick of a process on Linux, 'zombie' for a dead one that was not collected; null elsewhere. */
function bornOf(pid: number): string | null {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = status.slice(status.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return 'zombie';
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}:${fields[19]}`;
  } catch {
    return null;
  }
}

function releaseOnExit(file: string, content: string): () => Promise<void> {
  let held = true;
  const drop = () => {
    if (!held) return;
    held = false;
    process.off('exit', drop);
    try {
      if (readFileSync(file, 'utf8') === content) rmSync(file, { force: true });
    } catch {
      // gone already
    }
  };
  process.on('exit', drop);
  return async () => drop();
}
