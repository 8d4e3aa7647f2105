/** What a command that listens reads of its files: a certificate, and API keys. */
import { readFile } from 'node:fs/promises';
import { Keys } from '../../server/http/keys.ts';
import { UsageError } from '../errors.ts';

/** @throws UsageError for one of the two without the other */
export async function readTls(flags: {
  tlsCert?: string;
  tlsKey?: string;
}): Promise<{ cert: string; key: string } | undefined> {
  const { tlsCert, tlsKey } = flags;
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw new UsageError('--tls-cert and --tls-key go together: expected both, or none');
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  return { cert: await readFile(tlsCert, 'utf8'), key: await readFile(tlsKey, 'utf8') };
}

/** null where no file is named. @throws InputError for a file that holds no keys */
export async function readKeys(file: string | undefined): Promise<Keys | null> {
  return file === undefined ? null : Keys.parse(await readFile(file, 'utf8'), file);
}
