/** Connections to Redis. */
import { Redis } from 'ioredis';
import { InputError } from '../data/errors.ts';

/** The name of the queue in Redis; another database (`/1` in the address) is another queue. */
export const QUEUE = 'attune';

/** The address without its password. @throws InputError where it is none of Redis */
export function shownAddress(address: string): string {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw new InputError('invalid-value', 'expected redis://HOST:PORT', { setting: 'queue' });
  }
  if (url.protocol !== 'redis:' && url.protocol !== 'rediss:')
    throw new InputError('invalid-value', `expected redis://HOST:PORT, got ${url.protocol}//`, { setting: 'queue' });
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** A connection that waits for a Redis that is away for a while. @throws InputError where it does not answer now */
export async function connect(address: string): Promise<Redis> {
  const shown = shownAddress(address);
  const probe = new Redis(address, { lazyConnect: true, retryStrategy: () => null, connectTimeout: 5000 });
  let failure: Error | null = null;
  probe.on('error', (error: Error) => {
    failure ??= error;
  });
  try {
    await probe.connect();
    await probe.ping();
  } catch (error) {
    const { message, code } = (failure ?? error) as NodeJS.ErrnoException;
    throw new InputError('not-found', `${shown}: does not answer (${code ?? message})`, {
      hint: 'start Redis there, or name another --queue',
    });
  } finally {
    probe.disconnect();
  }
  // What BullMQ needs of a connection that blocks.
  const redis = new Redis(address, { maxRetriesPerRequest: null });
  redis.on('error', () => {}); // it connects again by itself
  return redis;
}
