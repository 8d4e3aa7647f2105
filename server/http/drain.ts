/** Ends a server without dropping a request: what is in flight is answered, and connections end with their last answer. */
import { Server } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** Open connections on which nothing is asked for so long are closed. */
const QUIET_MS = 300;
const LOOK_MS = 20;

export interface Drain {
  /** Whether it has started. */
  readonly draining: boolean;
  /** Takes no more connections, and resolves when all requests are answered, or after so long at most. */
  drain(mostMs: number): Promise<void>;
}

export function drainable(app: FastifyInstance): Drain {
  let running = 0;
  let last = 0;
  const state = { draining: false, last: false };
  app.server.on('request', (_request, response) => {
    running++;
    response.once('close', () => {
      running--;
      last = performance.now();
    });
  });
  app.addHook('onSend', async (_request, reply) => {
    if (state.last) reply.header('connection', 'close');
  });
  return {
    get draining() {
      return state.draining;
    },
    async drain(mostMs) {
      if (state.draining) return;
      state.draining = true;
      const started = performance.now();
      last = started;
      // The system has made connections that were not taken yet.
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      // The server's own `close` would cut connections that wait for their next request, which may be on its way.
      Server.prototype.close.call(app.server);
      // From now on only: whoever hears it earlier connects anew, to a server that is about to close.
      state.last = true;
      const connections = (): Promise<number> =>
        new Promise((resolve) => app.server.getConnections((_error, count) => resolve(count ?? 0)));
      while (performance.now() - started < mostMs) {
        if ((await connections()) === 0 || (running === 0 && performance.now() - last > QUIET_MS)) break;
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
      if (running > 0) app.server.closeAllConnections();
    },
  };
}
