/** The HTTP application: plugins, checks that hold for every request, and the routes of the table. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import rateLimit from '@fastify/rate-limit';
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import { randomUUID } from 'node:crypto';
import { Ajv } from 'ajv';
import type { Context } from './context.ts';
import { parseJson } from './http/json.ts';
import { mayCall } from './http/keys.ts';
import { Problem, ProblemDocument, sendProblem } from './http/problem.ts';
import type { Route } from './http/route.ts';
import { Event, Explanation, Item, List, ListedItem, User } from './http/schemas.ts';
import { ROUTES } from './routes/index.ts';

const SHARED = [Event, Item, User, Explanation, ListedItem, List, ProblemDocument];

export interface AppOptions {
  version: string;
  /** Level of pino's log; silent for tests. */
  log: string;
}

export async function buildApp(context: Context, { version, log }: AppOptions): Promise<FastifyInstance> {
  const { limits } = context.config;
  const app = Fastify({
    bodyLimit: limits.body,
    exposeHeadRoutes: false,
    genReqId: () => randomUUID(),
    routerOptions: { maxParamLength: 2048 },
    // The route stands for the address, which has users' IDs in it; headers, which may have keys, are not logged.
    logger: {
      level: log,
      serializers: {
        req: (request: FastifyRequest) => ({ method: request.method, route: request.routeOptions?.url ?? 'unknown' }),
      },
    },
  });
  for (const schema of SHARED) app.addSchema(schema);
  checkRequests(app);
  app.setErrorHandler<Error>((error, request, reply) => sendProblem(error, request, reply));
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      new Problem(404, 'no-such-route', `no ${request.method} at this address; /openapi.json lists what there is`),
      request,
      reply,
    ),
  );
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (_request: FastifyRequest, body: Buffer) =>
    body.length === 0 ? undefined : parseJson(body, limits.depth),
  );
  if (limits.rate > 0) {
    await app.register(rateLimit, {
      max: limits.rate,
      timeWindow: '1 minute',
      keyGenerator: (request) => request.headers.authorization ?? request.ip,
      allowList: (request) => ['/healthz', '/readyz'].includes(request.routeOptions.url ?? ''),
      errorResponseBuilder: (_request, { after }) =>
        new Problem(429, 'too-many-requests', `more than ${limits.rate} requests a minute; try again in ${after}`),
    });
  }
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Attune', version, description: 'Recommendations over HTTP.' },
      components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, i) => (typeof json.$id === 'string' ? json.$id : `def-${i}`),
    },
  });
  await app.register(swaggerUi, { routePrefix: '/docs' });
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
  for (const route of ROUTES) addRoute(app, route, context);
  return app;
}

/** Bodies are taken as they are; addresses hold text alone, which is read as what it should be. */
function checkRequests(app: FastifyInstance): void {
  const options = { allErrors: false, strict: false, allowUnionTypes: true, ownProperties: true };
  const strict = new Ajv({ ...options, coerceTypes: false });
  const coercing = new Ajv({ ...options, coerceTypes: 'array' });
  for (const schema of SHARED) {
    strict.addSchema(schema);
    coercing.addSchema(schema);
  }
  app.setValidatorCompiler(({ schema, httpPart }) =>
    (httpPart === 'body' ? strict : coercing).compile(schema as object),
  );
}

function addRoute(app: FastifyInstance, route: Route, context: Context): void {
  const { method, url, role, operation, tag, summary, description, params, query, body, reply, handler } = route;
  const { status = 200 } = route;
  app.route({
    method,
    url,
    schema: {
      operationId: operation,
      tags: [tag],
      summary,
      description,
      ...(params && { params }),
      ...(query && { querystring: query }),
      ...(body && { body }),
      response: { [status]: reply, '4xx': { $ref: 'Problem#' }, '5xx': { $ref: 'Problem#' } },
      security: role === null ? [] : [{ key: [] }],
    },
    onRequest: async (request) => {
      if (role === null || !context.keys) return;
      const [scheme, key] = (request.headers.authorization ?? '').split(' ');
      const known = scheme.toLowerCase() === 'bearer' && key ? context.keys.find(key) : null;
      if (!known)
        throw new Problem(401, 'unauthorized', 'expected a known key in the header Authorization: Bearer KEY');
      if (!mayCall(known.role, role))
        throw new Problem(403, 'forbidden', `this key has the role ${known.role}, and ${role} is needed`);
    },
    handler: async (request, answer) => {
      answer.code(status);
      const { signal } = request;
      return handler({ params: request.params, query: request.query, body: request.body, context, signal });
    },
  });
}
