/** The coordinator of a federation over HTTP: what it tells, and what it takes. Its states are in train/federated/. */
import { randomUUID } from 'node:crypto';
import Fastify, { type FastifyInstance, type FastifyRequest, LogController } from 'fastify';
import { packModel } from '../../model/storage/pack.ts';
import type { Files } from '../../model/storage/files.ts';
import type { Coordinator } from '../../train/federated/coordinator.ts';
import { FEDERATION_PATHS } from '../../train/federated/join.ts';
import { readConfig } from '../config.ts';
import { parseJson } from '../http/json.ts';
import type { Keys } from '../http/keys.ts';
import { refuseExpectation, refuseSocket } from '../http/missing.ts';
import { Problem, sendProblem } from '../http/problem.ts';
import { protect } from '../http/protect.ts';

/** An update must arrive within as many milliseconds: it may be large. */
const ARRIVAL = 300_000;
/** Levels of a JSON body. */
const DEPTH = 4;

export interface FederationAppOptions {
  coordinator: Coordinator;
  /** The folder that it publishes to. */
  files: Files;
  /** null: for this machine alone, and whoever asks takes part as often as it likes. */
  keys: Keys | null;
  /** Origins whose pages may take part, `*` for all. */
  cors?: readonly string[];
  /** Level of pino's log. */
  log: string;
  tls?: { cert: string; key: string };
  /** After an update was taken. */
  onAccepted?(): void;
}

export async function buildFederationApp(options: FederationAppOptions): Promise<FastifyInstance> {
  const { coordinator, files, keys, cors = [], log, tls, onAccepted } = options;
  const app: FastifyInstance = Fastify({
    ...(tls && { https: tls }),
    bodyLimit: coordinator.mostBytes,
    requestTimeout: ARRIVAL,
    genReqId: () => randomUUID(),
    logController: new LogController({ disableRequestLogging: true }),
    logger: { level: log },
    clientErrorHandler: refuseSocket,
    frameworkErrors: (error, request, reply) => sendProblem(error, request, reply),
  });
  app.server.on('checkExpectation', refuseExpectation);
  app.setErrorHandler<Error>((error, request, reply) => sendProblem(error, request, reply));
  app.setNotFoundHandler((request, reply) =>
    sendProblem(new Problem(404, 'no-such-route', 'nothing is at this address'), request, reply),
  );
  readBodies(app);
  // An aggregation may hold the event loop for longer than a list may.
  const config = readConfig('{ "limits": { "delay": 0 } }');
  await protect(app, { keys, config }, { cors });

  const read = { config: { role: 'read' as const } };
  const write = { config: { role: 'write' as const } };
  app.get('/healthz', { config: { role: null, always: true } }, async () => ({ ok: true }));
  app.get(FEDERATION_PATHS.info, read, async () => coordinator.info);
  app.get(FEDERATION_PATHS.model, read, async (_request, reply) =>
    reply.type('application/zip').send(Buffer.concat(await packModel(files))),
  );
  app.get(FEDERATION_PATHS.weights, read, async (_request, reply) =>
    reply.type('application/octet-stream').send(Buffer.from(coordinator.message.buffer)),
  );
  app.post(FEDERATION_PATHS.tickets, write, async ({ key, body }) => {
    if (body instanceof Uint8Array || body === undefined) throw wrongType(body && 'application/octet-stream');
    return coordinator.ticket(key?.name ?? null);
  });
  app.post(FEDERATION_PATHS.updates, write, async ({ body }) => {
    if (!(body instanceof Uint8Array)) throw wrongType(body === undefined ? undefined : 'application/json');
    const accepted = await coordinator.submit(body);
    onAccepted?.();
    return accepted;
  });
  return app;
}

const wrongType = (given: string | undefined): Problem =>
  new Problem(
    415,
    'unsupported-media-type',
    `expected an update as application/octet-stream, or a ticket's application/json, got ${given ?? 'none'}`,
    'Content-Type',
  );

/** What a page of another site can send without being asked has other types. */
function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/octet-stream',
    { parseAs: 'buffer' },
    async (_: FastifyRequest, body: Buffer) => body,
  );
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (_: FastifyRequest, body: Buffer) =>
    body.length === 0 ? undefined : parseJson(body, DEPTH),
  );
  app.addContentTypeParser('*', async ({ headers }: FastifyRequest) => {
    throw wrongType(headers['content-type']);
  });
}
