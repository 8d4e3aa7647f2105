/** A server in this process on a free port, its store in a folder that is deleted with it. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Server } from '../../server/serve.ts';
import { type ServeOptions, serve } from '../../server/serve.ts';

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what the server answers is what the tests are about
  body: any;
  headers: Headers;
}

export interface TestServer extends Server {
  folder: string;
  /** @param body a string goes as it is, all else as JSON */
  call(method: string, url: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** IDs of a list. */
  ids(method: string, url: string, body?: unknown): Promise<string[]>;
}

export const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/models/${name}`, import.meta.url));

/** @param config of the server, as its file has it; busy machines run these tests, too: no lag is too long unless it says so */
export async function startServer(
  options: Partial<Omit<ServeOptions, 'config'>> = {},
  config?: Record<string, unknown>,
): Promise<TestServer> {
  const folder = mkdtempSync(path.join(tmpdir(), 'attune-serve-'));
  const model = path.join(folder, 'model');
  cpSync(options.model ?? fixture('sequence'), model, { recursive: true });
  const server = await serve({
    host: '127.0.0.1',
    port: 0,
    store: path.join(folder, 'store.db'),
    backend: 'wasm',
    keys: null,
    app: { version: 'test', log: 'silent' },
    ...options,
    config: {
      text: JSON.stringify({ ...config, limits: { delay: 0, ...(config?.limits as object) } }),
      file: 'config.json',
    },
    model,
  }).catch((error) => {
    rmSync(folder, { recursive: true });
    throw error;
  });
  const call: TestServer['call'] = async (method, url, body, headers = {}) => {
    const json: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
    const answer = await fetch(`${server.address}${url}`, {
      method,
      headers: { ...json, ...headers },
      body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
    });
    const text = await answer.text();
    const isJson = text !== '' && /json/.test(answer.headers.get('content-type') ?? '');
    return { status: answer.status, body: isJson ? JSON.parse(text) : text, headers: answer.headers };
  };
  return {
    ...server,
    folder,
    call,
    async ids(method, url, body) {
      const { status, body: list } = await call(method, url, body);
      if (status !== 200) throw new Error(`${method} ${url}: ${status} ${JSON.stringify(list)}`);
      return list.items.map(({ id }: { id: string }) => id);
    },
    async close() {
      await server.close();
      rmSync(folder, { recursive: true });
    },
  };
}
