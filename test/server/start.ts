/** A server whose log is read, with keys and options of the HTTP application. */
import type { AppOptions } from '../../server/app.ts';
import { Keys } from '../../server/http/keys.ts';
import { type Answer, startServer } from './server.ts';

export interface Started {
  url: string;
  /** Lines of the log so far. */
  log: string[];
  /** @param body a string goes as it is, all else as JSON */
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  close(): Promise<void>;
}

/** Keys of each role, and the file's text. */
export function makeKeys(): { text: string; keys: Record<'read' | 'write' | 'admin', string> } {
  const made = (['read', 'write', 'admin'] as const).map((role) => ({ role, made: Keys.create(role, role) }));
  return {
    text: made.map(({ made: { line } }) => `${line}\n`).join(''),
    keys: Object.fromEntries(made.map(({ role, made: { key } }) => [role, key])) as never,
  };
}

export interface StartOptions {
  config?: Record<string, unknown>;
  keys?: Keys;
  app?: Partial<AppOptions>;
  /** Folder of a model of ratings. */
  ratings?: string;
}

export async function start({ config, keys, app, ratings }: StartOptions = {}): Promise<Started> {
  const log: string[] = [];
  const logTo = { write: (line: string) => void log.push(line) };
  const server = await startServer(
    { ratings, keys: keys ?? null, app: { version: 'test', log: 'info', logTo, ...app } },
    config,
  );
  return { url: server.address, log, ask: server.call, close: () => server.close() };
}
