/** A server of a fixture model, in this process, on a free port. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AppOptions } from '../../server/app.ts';
import { Keys } from '../../server/http/keys.ts';
import { type Server, serve } from '../../server/serve.ts';

const MODEL = fileURLToPath(new URL('../fixtures/models/sequence', import.meta.url));

export interface Started {
  url: string;
  server: Server;
  /** Lines of the log so far. */
  log: string[];
  /** A request with a JSON body where there is one, and the answer with its body read. */
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Asked>;
  close(): Promise<void>;
}

export interface Asked {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server answers
  body: any;
}

/** Keys of each role, and the file's text. */
export function makeKeys(): { text: string; keys: Record<'read' | 'write' | 'admin', string> } {
  const made = (['read', 'write', 'admin'] as const).map((role) => ({ role, made: Keys.create(role, role) }));
  return {
    text: made.map(({ made: { line } }) => `${line}\n`).join(''),
    keys: Object.fromEntries(made.map(({ role, made: { key } }) => [role, key])) as never,
  };
}

export async function start({
  config = {},
  keys,
  app = {},
}: {
  config?: object;
  keys?: Keys;
  app?: Partial<AppOptions>;
} = {}): Promise<Started> {
  const folder = mkdtempSync(join(tmpdir(), 'attune-serve-'));
  const model = join(folder, 'model');
  cpSync(MODEL, model, { recursive: true });
  const log: string[] = [];
  const server = await serve({
    model,
    host: '127.0.0.1',
    port: 0,
    store: join(folder, 'store.db'),
    backend: 'cpu',
    config: { text: JSON.stringify(config), file: 'config.json' },
    keys: keys ?? null,
    app: { version: '0.0.0', log: 'info', logTo: { write: (line) => void log.push(line) }, ...app },
  });
  const url = server.address;
  return {
    url,
    server,
    log,
    async ask(method, path, body, headers = {}) {
      const answer = await fetch(`${url}${path}`, {
        method,
        headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
        body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
      });
      const text = await answer.text();
      const json = /json/.test(answer.headers.get('content-type') ?? '');
      return { status: answer.status, headers: answer.headers, body: json && text !== '' ? JSON.parse(text) : text };
    },
    async close() {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
