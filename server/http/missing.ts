/** Addresses that no route answers, and requests that are not HTTP. */
import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyRequest } from 'fastify';
import { documentOf, Problem } from './problem.ts';
import type { Route } from './route.ts';

/** Tells whether an address is there under other methods. */
export function missingRoute(routes: readonly Route[]): (request: FastifyRequest) => Problem {
  const known = routes.map(({ method, url }) => ({
    method,
    pattern: new RegExp(`^${url.replace(/[.*+?^$()[\]{}|]/g, '\\$&').replace(/:\w+/g, '[^/]+')}$`),
  }));
  return ({ method, raw }) => {
    const [path] = (raw.url ?? '').split('?');
    const allowed = known
      .filter(({ pattern }) => pattern.test(path))
      .flatMap((found) => (found.method === 'GET' ? ['GET', 'HEAD'] : [found.method]));
    if (allowed.length === 0)
      return new Problem(404, 'no-such-route', 'nothing is at this address; /openapi.json lists what there is');
    const allow = allowed.join(', ');
    return new Problem(405, 'method-not-allowed', `expected ${allow} at this address, got ${method}`, undefined, {
      allow,
    });
  };
}

/** An answer without a request of Fastify's. */
function plainAnswer(problem: Problem): { status: number; headers: Record<string, string | number>; body: string } {
  const body = JSON.stringify(documentOf(problem, randomUUID()));
  const headers = {
    'Content-Type': 'application/problem+json',
    'Content-Length': Buffer.byteLength(body),
    Connection: 'close',
  };
  return { status: problem.status, headers, body };
}

/** Answers a request with a header Expect that is not 100-continue, which Node answers without a body. */
export function refuseExpectation(_request: IncomingMessage, answer: ServerResponse): void {
  const { status, headers, body } = plainAnswer(
    new Problem(417, 'invalid-request', 'expected 100-continue in the header Expect, or none', 'Expect'),
  );
  answer.writeHead(status, headers).end(body);
}

/** Answers what Node's parser refuses, which never becomes a request. */
export function refuseSocket(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const problem =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new Problem(431, 'too-large', 'the address and headers are too long')
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new Problem(408, 'timeout', 'the request did not arrive in time')
        : new Problem(400, 'invalid-request', 'this is not an HTTP request that can be read');
  const { status, headers, body } = plainAnswer(problem);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`, () => socket.destroy());
}
