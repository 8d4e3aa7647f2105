/** What every request must pass before its route: address, Host, load, rate, key. The order is that of the hooks here. */
import cors from '@fastify/cors';
import rateLimit from '@fastify/rate-limit';
import underPressure from '@fastify/under-pressure';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Context } from '../context.ts';
import type { KnownKey } from './keys.ts';
import { mayCall, type Role } from './roles.ts';
import { Problem } from './problem.ts';
import { addressFault } from './text.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The key that the request came with; null where it had none, or one that is not known. */
    key: KnownKey | null;
    /** Code of the problem that was answered. */
    problem: string | null;
  }
  interface FastifyContextConfig {
    /** The role that the route needs; null or undefined: none. */
    role?: Role | null;
    /** Answered whatever the load and the rate: what watches the server must not take a busy one for a dead one. */
    always?: boolean;
    /** Counted in the latency and the throughput that the operator sees. */
    counts?: boolean;
  }
}

const LOOPBACK = /^(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[?::1\]?)$/i;

/** Whether a host is this machine alone. */
export const isLoopback = (host: string): boolean => LOOPBACK.test(host);

export interface Protection {
  /** Origins whose pages may ask, `*` for all; none: no other origin's. */
  cors: readonly string[];
}

export async function protect(
  app: FastifyInstance,
  context: Pick<Context, 'keys' | 'config'>,
  { cors: origins }: Protection,
): Promise<void> {
  const { keys, config } = context;
  const { rate, delay } = config.limits;
  app.decorateRequest('key', null);
  app.decorateRequest('problem', null);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id).header('x-content-type-options', 'nosniff');
    const fault = addressFault(request.raw.url ?? '');
    if (fault) throw new Problem(400, 'invalid-address', `the address has ${fault} in it`);
    if (!keys) requireLoopback(request);
    else request.key = keyOf(request, context);
  });
  if (origins.length > 0) {
    await app.register(cors, {
      origin: origins.includes('*') ? '*' : [...origins],
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
      allowedHeaders: ['authorization', 'content-type'],
      exposedHeaders: ['x-request-id', 'retry-after'],
      maxAge: 3600,
      strictPreflight: false,
    });
  }
  if (delay > 0) {
    await app.register(underPressure, {
      maxEventLoopDelay: delay,
      // A mean over seconds: one long step, as the load of a model, is no reason to turn people away.
      sampleInterval: 5000,
      pressureHandler: async ({ routeOptions }) => {
        if (routeOptions.config.always) return;
        throw new Problem(503, 'overloaded', 'the server has more work than it can do; try again later', undefined, {
          'retry-after': '5',
        });
      },
    });
  }
  if (rate > 0) {
    await app.register(rateLimit, {
      max: rate,
      timeWindow: '1 minute',
      // A key that is not known counts as none: whoever makes them up gets no more than others.
      keyGenerator: ({ key, ip }) => (key ? `key ${key.name}` : `address ${ip}`),
      allowList: ({ routeOptions }) => routeOptions.config.always === true,
      errorResponseBuilder: (_request, { after }) =>
        new Problem(429, 'too-many-requests', `more than ${rate} requests a minute; try again in ${after}`),
    });
  }
  // After the hooks of the route's own onRequest, the rate's among them, and before the body is read.
  app.addHook('preParsing', async ({ key, routeOptions }) => {
    const needed = routeOptions.config.role;
    if (keys && needed) requireRole(key, needed);
  });
}

/** A page that has its name resolve to 127.0.0.1 (DNS rebinding) asks under that name. */
function requireLoopback({ headers: { host = '' } }: FastifyRequest): void {
  if (!isLoopback(host.replace(/:\d{1,5}$/, '')))
    throw new Problem(
      421,
      'misdirected-request',
      'without keys this server answers to localhost and loopback addresses alone; start it with keys to use another name',
      'Host',
    );
}

function keyOf({ headers: { authorization = '' } }: FastifyRequest, { keys }: Pick<Context, 'keys'>): KnownKey | null {
  const [, key] = /^bearer +(\S+) *$/i.exec(authorization) ?? [];
  return key === undefined || !keys ? null : keys.find(key);
}

function requireRole(key: KnownKey | null, needed: Role): void {
  if (!key)
    throw new Problem(401, 'unauthorized', 'expected a known key, as Authorization: Bearer KEY', 'Authorization', {
      'www-authenticate': 'Bearer',
    });
  if (!mayCall(key.role, needed))
    throw new Problem(403, 'forbidden', `the key ${key.name} has the role ${key.role}; this needs ${needed}`);
}
