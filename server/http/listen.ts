/** Where the server listens, and what it takes for that: what cannot be is said in one line, before the model is loaded. */
import { BlockList, isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import { InputError } from '../../data/errors.ts';
import type { AppOptions } from '../app.ts';

/** Names that Fastify has for networks. */
const NETWORKS = ['loopback', 'linklocal', 'uniquelocal'];

/** @throws InputError */
export function checkListening({ tls, cors = [], trustProxy = [] }: AppOptions): void {
  for (const origin of cors) {
    if (origin !== '*' && originOf(origin) !== origin)
      throw new InputError('invalid-value', 'expected an origin, as https://shop.example, or *', {
        setting: 'cors',
        value: origin,
      });
  }
  for (const network of trustProxy) {
    if (!NETWORKS.includes(network) && !isNetwork(network))
      throw new InputError('invalid-value', 'expected an address or a network, as 10.0.0.7 or 10.0.0.0/8', {
        setting: 'trustProxy',
        value: network,
      });
  }
  if (!tls) return;
  try {
    createSecureContext(tls);
  } catch (error) {
    throw new InputError('invalid-data', `not a certificate and its private key in PEM (${(error as Error).message})`, {
      setting: 'tlsCert',
    });
  }
}

const originOf = (text: string): string | null => {
  try {
    return new URL(text).origin;
  } catch {
    return null;
  }
};

function isNetwork(text: string): boolean {
  const [address, prefix, more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || more !== undefined) return false;
  if (prefix === undefined) return true;
  try {
    new BlockList().addSubnet(address, /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1, family === 6 ? 'ipv6' : 'ipv4');
    return true;
  } catch {
    return false;
  }
}

const REASONS: Readonly<Record<string, ['host' | 'port', string] | undefined>> = {
  EADDRINUSE: ['port', 'another process listens there'],
  EACCES: ['port', 'no permission to listen there'],
  ERR_SOCKET_BAD_PORT: ['port', 'expected an integer from 0 to 65535'],
  EADDRNOTAVAIL: ['host', 'this machine does not have that address'],
  ENOTFOUND: ['host', 'no such host'],
};

/** @throws InputError */
export async function listen(app: FastifyInstance, host: string, port: number): Promise<void> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    const [setting, reason] = REASONS[(error as NodeJS.ErrnoException).code ?? ''] ?? [];
    if (!setting || !reason) throw error;
    throw new InputError('conflicting-settings', reason, { setting, value: setting === 'host' ? host : port });
  }
}
