/** The HTTP application: plugins, checks that hold for every request, and the routes of the table. */
import { randomUUID } from 'node:crypto';
import Fastify, { type FastifyInstance, type FastifyRequest, LogController } from 'fastify';
import { readConfig } from './config.ts';
import type { Context } from './context.ts';
import { parseJson } from './http/json.ts';
import { missingRoute, refuseExpectation, refuseSocket } from './http/missing.ts';
import { describe, schemaOf } from './http/openapi.ts';
import { addPages } from './http/pages.ts';
import { ProblemDocument, sendProblem, wrongMediaType } from './http/problem.ts';
import { protect } from './http/protect.ts';
import type { Route } from './http/route.ts';
import { Event, Explanation, Item, List, ListedItem, User } from './http/schemas.ts';
import { type Part, requestChecker } from './http/validation.ts';
import type { Metrics } from './metrics.ts';
import { ROUTES } from './routes/index.ts';
import { notReady } from './serving/models.ts';

const SHARED = [Event, Item, User, Explanation, ListedItem, List, ProblemDocument];
/** A whole request must arrive within as many milliseconds. */
const ARRIVAL = 30_000;

export interface AppOptions {
  version: string;
  /** Level of pino's log; silent for tests. */
  log: string;
  /** Where the log goes; default: standard output. */
  logTo?: { write(line: string): void };
  /** Certificate and private key, PEM; without them: plain HTTP. */
  tls?: { cert: string; key: string };
  /** Folder of the built page for operators, which is at /. */
  operator?: string;
  /** Origins whose pages may ask, `*` for all; default: none but this server's own. */
  cors?: readonly string[];
  /** Addresses or networks of proxies whose X-Forwarded-For and X-Request-Id are believed. */
  trustProxy?: readonly string[];
}

export async function buildApp(context: Context, options: AppOptions): Promise<FastifyInstance> {
  const { version, log, logTo, tls, operator, cors = [], trustProxy = [] } = options;
  const { limits } = context.config;
  const app: FastifyInstance = Fastify({
    ...(tls && { https: tls }),
    bodyLimit: limits.body,
    requestTimeout: ARRIVAL,
    trustProxy: trustProxy.length > 0 ? [...trustProxy] : false,
    genReqId: ({ headers: { 'x-request-id': id } }) =>
      trustProxy.length > 0 && typeof id === 'string' && /^[\w.-]{1,64}$/.test(id) ? id : randomUUID(),
    // IDs of 512 characters, percent-encoded.
    routerOptions: { maxParamLength: 512 * 12 },
    logController: new LogController({ disableRequestLogging: true }),
    logger: { level: log, ...(logTo && { stream: logTo }) },
    clientErrorHandler: refuseSocket,
    frameworkErrors: (error, request, reply) => sendProblem(error, request, reply),
  });
  app.server.on('checkExpectation', refuseExpectation);
  for (const schema of SHARED) app.addSchema(schema);
  const check = requestChecker(SHARED);
  app.setValidatorCompiler(({ schema, httpPart }) => check(schema as object, httpPart as Part));
  const missing = missingRoute(ROUTES);
  app.setErrorHandler<Error>((error, request, reply) => sendProblem(error, request, reply));
  app.setNotFoundHandler((request, reply) => sendProblem(missing(request), request, reply));
  logRequests(app, context.metrics);
  readBodies(app, limits.depth);
  await protect(app, context, { cors });
  await describe(app, version, context.config);
  await addPages(app, { tls: tls !== undefined, operator });
  for (const route of ROUTES) addRoute(app, route, context);
  return app;
}

/** The OpenAPI document without a server: what it says depends on the routes alone. */
export async function openApiDocument(version: string): Promise<object> {
  const context = { config: readConfig(null), keys: null } as Context;
  const app = await buildApp(context, { version, log: 'silent' });
  try {
    await app.ready();
    return app.swagger();
  } finally {
    await app.close();
  }
}

/** One line a request, and its metrics. The route stands for the address, which has users' IDs; a key's name for the key. */
function logRequests(app: FastifyInstance, metrics: Metrics): void {
  app.addHook('onResponse', async ({ log, method, routeOptions, key, problem }, reply) => {
    const { statusCode: status, elapsedTime } = reply;
    const ms = Math.round(elapsedTime * 1000) / 1000;
    const { url, config } = routeOptions;
    const route = url ?? 'unknown';
    metrics.request(method, route, status, elapsedTime, url === undefined || config.counts === true);
    // What asks each second whether all is well would drown the rest.
    const level = config.always && status < 400 ? 'debug' : 'info';
    log[level]({ method, route, status, ms, key: key?.name, problem: problem ?? undefined }, 'request');
  });
}

/** JSON alone, in UTF-8: what a page of another site can send without being asked has other types. */
function readBodies(app: FastifyInstance, depth: number): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async ({ headers }: FastifyRequest, body: Buffer) => {
      const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = headers;
      const [, charset = 'utf-8'] = /charset\s*=\s*"?([^";\s]+)/i.exec(type) ?? [];
      if (!/^utf-?8$/i.test(charset)) throw wrongMediaType(type);
      if (encoding.toLowerCase() !== 'identity') throw wrongMediaType(`${type}, compressed with ${encoding}`);
      return body.length === 0 ? undefined : parseJson(body, depth);
    },
  );
}

function addRoute(app: FastifyInstance, route: Route, context: Context): void {
  const { method, url, role, tag, status = 200, type = 'application/json', handler } = route;
  app.route({
    method,
    url,
    schema: schemaOf(route),
    config: { role, always: tag === 'operation', counts: tag !== 'operation' && tag !== 'models' },
    handler: async ({ params, query, body, signal, key }, reply) => {
      // Before that the store may not be warm either.
      if (role !== null && !context.models.ready) throw notReady();
      const asking = context.keys ? (key?.role ?? null) : 'admin';
      const call = { params, query, body, context, role: asking, signal };
      const answer = await context.models.use(() => handler(call));
      reply.code(status).type(type).header('cache-control', 'no-store');
      return answer;
    },
  });
}
