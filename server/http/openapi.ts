/** The OpenAPI document: what the declarations of the routes say, for other programs. */
import swagger from '@fastify/swagger';
import type { FastifyInstance, FastifySchema } from 'fastify';
import type { ServerConfig } from '../config.ts';
import type { Route } from './route.ts';

const PROBLEM = 'application/problem+json';

/** Statuses of problems that a route may answer with, and what each means. */
function problemsOf({ role, params, query, body, problems }: Route): ReadonlyMap<number, string> {
  const found: [number, string][] = [
    [400, params || query || body ? 'a part of the request is wrong' : 'the address is wrong'],
  ];
  if (role) {
    found.push([401, 'the key is missing or not known'], [403, `the key's role is not enough: ${role} is needed`]);
  }
  if (body) {
    found.push(
      [413, 'the body is too large'],
      [415, 'the body is not of the type application/json'],
      [422, 'the request is well-formed, and the model cannot do what it asks'],
    );
  }
  found.push([429, 'too many requests of this key: the header Retry-After says in how many seconds there are more']);
  if (role) found.push([503, 'the server has more work than it can do: try again later']);
  for (const [status, meaning] of Object.entries(problems ?? {})) found.push([Number(status), meaning]);
  return new Map(found.sort(([a], [b]) => a - b));
}

/** What Fastify checks requests and writes answers by, and what the document is made of. */
export function schemaOf(route: Route): FastifySchema {
  const { operation, tag, summary, description, role, params, query, body, reply, status = 200, type, example } = route;
  const problem = { schema: { $ref: 'Problem#' } };
  return {
    operationId: operation,
    tags: [tag],
    summary,
    description: role === null ? description : `${description} Needs a key with the role ${role}, or one above it.`,
    ...(params && { params }),
    ...(query && { querystring: query }),
    ...(body && { body: example === undefined ? body : { ...body, examples: [example] } }),
    response: {
      [status]: {
        description: (reply as { description?: string }).description ?? 'done',
        content: { [type ?? 'application/json']: { schema: reply } },
      },
      ...Object.fromEntries(
        [...problemsOf(route)].map(([code, meaning]) => [
          code,
          { description: meaning, content: { [PROBLEM]: problem } },
        ]),
      ),
      default: { description: 'another problem', content: { [PROBLEM]: problem } },
    },
    security: role === null ? [] : [{ key: [] }],
  } as FastifySchema;
}

const TAGS = {
  recommendations: 'Lists of items: for users, for sessions, and for everybody.',
  predictions: 'What a user would think of items, and do next.',
  events: 'What users did.',
  items: 'The catalog.',
  users: 'What is known of users beside their events.',
  models: 'The models that answer.',
  operation: 'For those who run the server.',
};

export async function describe(app: FastifyInstance, version: string, { limits }: ServerConfig): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Attune',
        version,
        license: { name: 'MIT', identifier: 'MIT' } as never,
        description: `Recommendations over HTTP. Bodies are JSON (UTF-8, at most ${limits.body} bytes and ${limits.depth} levels). Errors are problem documents (RFC 9457): \`code\` is stable, \`field\` names what is at fault.`,
      },
      servers: [{ url: '/', description: 'this server' }],
      tags: Object.entries(TAGS).map(([name, text]) => ({ name, description: text })),
      components: {
        securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'a key, made with attune keys add' } },
      },
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, i) => (typeof json.$id === 'string' ? json.$id : `def-${i}`),
    },
  });
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
}
