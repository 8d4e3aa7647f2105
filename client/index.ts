/**
 * A client of `attune serve`, for browsers and Node: `fetch` and nothing else.
 *
 *   const attune = new AttuneClient({ url: 'http://127.0.0.1:8080' });
 *   await attune.addEvents({ user: 'ada', item: 'book-17' });
 *   const { items } = await attune.recommendForUser('ada', { k: 5 });
 */
import { Api, type CallOptions, type Problem, type Sent } from './api.ts';

export type * from './api.ts';

export interface ClientOptions {
  /** Where the server is: `https://recommend.example`. A path is kept, where a proxy serves it under one. */
  url: string;
  /** An API key (`attune keys add`). */
  key?: string;
  /** Default: the global one. */
  fetch?: typeof fetch;
  /** Sent with each request. */
  headers?: Readonly<Record<string, string>>;
}

/** The server, or what is in front of it, did not do what was asked. */
export class AttuneError extends Error {
  override name = 'AttuneError';
  /** The HTTP status. */
  readonly status: number;
  /** Stable, for programs; `unexpected-answer` where the answer was not the server's own. */
  readonly code: string;
  /** What of the request is at fault. */
  readonly field: string | undefined;
  /** Seconds after which to ask again, where the server says so. */
  readonly retryAfter: number | undefined;
  /** The server's own words, whole; null where the answer was not the server's own. */
  readonly problem: Problem | null;

  constructor(status: number, problem: Problem | null, retryAfter?: number) {
    super(problem?.detail ?? `expected an answer of Attune, got HTTP ${status}`);
    this.status = status;
    this.code = problem?.code ?? 'unexpected-answer';
    this.field = problem?.field;
    this.retryAfter = retryAfter;
    this.problem = problem;
  }
}

/** Nothing is tried again: a request that failed is the caller's to repeat. An `id` makes events safe to send twice. */
export class AttuneClient extends Api {
  private readonly base: string;
  private readonly headers: Readonly<Record<string, string>>;
  private readonly fetch: typeof fetch;

  constructor({ url, key, fetch: given, headers = {} }: ClientOptions) {
    super();
    this.base = url.replace(/\/+$/, '');
    this.headers = key === undefined ? headers : { ...headers, authorization: `Bearer ${key}` };
    this.fetch = given ?? globalThis.fetch.bind(globalThis);
  }

  protected override async call<T>(method: string, path: string, sent: Sent, { signal }: CallOptions): Promise<T> {
    const { query = {}, body } = sent;
    const search = queryOf(query);
    const answer = await this.fetch(`${this.base}${path}${search === '' ? '' : `?${search}`}`, {
      method,
      headers: body === undefined ? this.headers : { ...this.headers, 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
    });
    const type = answer.headers.get('content-type') ?? '';
    if (!answer.ok) {
      const own = type.startsWith('application/problem+json');
      const problem = own ? ((await answer.json()) as Problem) : null;
      if (!own) await answer.body?.cancel();
      const after = answer.headers.get('retry-after');
      throw new AttuneError(answer.status, problem, after === null ? undefined : Number(after));
    }
    if (answer.status === 204) return undefined as T;
    return (type.startsWith('application/json') ? await answer.json() : await answer.text()) as T;
  }
}

/** Lists are repeated names; what is undefined is left out. */
function queryOf(query: object): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) search.append(name, String(one));
  }
  return search.toString();
}
