/**
 * Malformed requests of every kind, made from the schemas of all routes: each gets an answer, those that are wrong a problem
 * document with a status of 4xx, and none a 5xx. A few hundred each; thousands with ATTUNE_FULL=1.
 */
import { dereference } from '@readme/openapi-parser';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc, { type Arbitrary } from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { brokenJson, brokenPath, damaged, type RawAnswer, type RawRequest, send, valuesOf } from './requests.ts';
import { fixture } from './server.ts';
import { type Started, start } from './start.ts';

// biome-ignore lint/suspicious/noExplicitAny: a JSON document
type Json = any;

const RUNS = process.env.ATTUNE_FULL ? 4000 : 300;
const options = { seed: 20260314, numRuns: RUNS, endOnFailure: true };

interface Operation {
  method: string;
  path: string;
  parameters: Json[];
  schema: Json | null;
}

let server: Started;
let operations: Operation[];
const ajv = new Ajv2020({ strict: false, validateSchema: false });

beforeAll(async () => {
  server = await start({ ratings: fixture('ratings') });
  const document: Json = await dereference((await server.ask('GET', '/openapi.json')).body);
  operations = Object.entries<Json>(document.paths).flatMap(([path, methods]) =>
    Object.entries<Json>(methods).map(([method, { parameters = [], requestBody }]) => ({
      method: method.toUpperCase(),
      path,
      parameters,
      schema: requestBody?.content['application/json'].schema ?? null,
    })),
  );
});
afterAll(async () => {
  await server.close();
});

const JSON_TYPE = [['content-type', 'application/json']] as const;

/** Any text in an address, also one that UTF-8 does not have. */
const encoded = (value: Json): string => {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\ufffd'));
};

/** Addresses whose parts are of the schema, or anything. */
function addresses({ path, parameters }: Operation): Arbitrary<string> {
  const values = fc.record(
    Object.fromEntries(parameters.map(({ name, schema }) => [name, fc.oneof(valuesOf(schema), valuesOf({}))])),
    { requiredKeys: parameters.filter((one) => one.in === 'path').map(({ name }): string => name) as never[] },
  );
  return values.map((given: Record<string, Json>) => {
    const filled = path.replace(/\{(\w+)\}/g, (_all, name) => encoded(given[name]) || '%20');
    const query = parameters
      .filter((one) => one.in === 'query' && Object.hasOwn(given, one.name))
      .flatMap(({ name }) => [given[name]].flat(1).map((value: Json) => `${name}=${encoded(value)}`));
    return query.length === 0 ? filled : `${filled}?${query.join('&')}`;
  });
}

const bodyOf = (value: Json): Buffer => Buffer.from(JSON.stringify(value));

/** A problem document of its status where it is refused, and never the server's fault. */
function expectAnswer({ status, type, body }: RawAnswer, request: RawRequest): void {
  const shown = `${request.method} ${request.path} ${request.body?.toString().slice(0, 500)} → ${status} ${body.slice(0, 500)}`;
  expect(status, shown).toBeLessThan(500);
  if (status < 400 || request.method === 'HEAD') return;
  expect(type, shown).toBe('application/problem+json');
  const problem = JSON.parse(body);
  expect(problem, shown).toMatchObject({ status, code: expect.any(String), instance: expect.any(String) });
  expect(problem.detail, shown).toMatch(/\w/);
}

/** @returns how many requests were answered with each status */
async function property(requests: Arbitrary<{ request: RawRequest; wrong: boolean }>): Promise<Map<number, number>> {
  const statuses = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(requests, async ({ request, wrong }) => {
      const answer = await send(server.url, request);
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
      expectAnswer(answer, request);
      if (wrong) expect(answer.status, `${request.path} ${request.body}`).toBeGreaterThanOrEqual(400);
    }),
    options,
  );
  return statuses;
}

const anyOperation = (): Arbitrary<Operation> => fc.constantFrom(...operations);
const anyWithBody = (): Arbitrary<Operation> => fc.constantFrom(...operations.filter(({ schema }) => schema !== null));

describe('requests of every kind are answered, and none with 5xx', () => {
  test('well-formed ones, with hostile texts and numbers', async () => {
    const statuses = await property(
      anyOperation().chain((operation) =>
        fc
          .tuple(addresses(operation), operation.schema ? valuesOf(operation.schema) : fc.constant(null))
          .map(([path, value]) => {
            const body = operation.schema ? bodyOf(value) : null;
            const request = { method: operation.method, path, headers: body ? JSON_TYPE : [], body };
            return {
              request,
              wrong: operation.schema !== null && !ajv.validate(operation.schema, JSON.parse(`${body}`)),
            };
          }),
      ),
    );
    expect((statuses.get(200) ?? 0) + (statuses.get(201) ?? 0), 'requests that were fulfilled').toBeGreaterThan(
      RUNS / 5,
    );
  });

  test('bodies of which a part is of a wrong type, too much, or not there', async () => {
    await property(
      anyWithBody().chain((operation) =>
        fc.tuple(addresses(operation), valuesOf(operation.schema).chain(damaged)).map(([path, value]) => {
          const body = Buffer.from(JSON.stringify(value) ?? 'null');
          const wrong = !ajv.validate(operation.schema, JSON.parse(body.toString()));
          return { request: { method: operation.method, path, headers: JSON_TYPE, body }, wrong };
        }),
      ),
    );
  });

  test('bodies that are not JSON, or JSON that readers disagree about', async () => {
    await property(
      anyWithBody().chain((operation) =>
        fc
          .tuple(
            addresses(operation),
            valuesOf(operation.schema).chain((value) => brokenJson(JSON.stringify(value))),
          )
          .map(([path, body]) => ({
            request: { method: operation.method, path, headers: JSON_TYPE, body },
            wrong: true,
          })),
      ),
    );
  });

  test('bodies of other types, encodings and lengths', async () => {
    const heads = fc.constantFrom<RawRequest['headers'][number][]>(
      [],
      [['content-type', 'text/plain']],
      [['content-type', '']],
      [['content-type', ';;;']],
      [['content-type', 'application/json, text/plain']],
      [['content-type', 'application/json; charset=utf-7']],
      [['content-type', 'application/xml']],
      [...JSON_TYPE, ['content-encoding', 'gzip']],
      [...JSON_TYPE, ['content-encoding', 'br, br']],
      [...JSON_TYPE, ['transfer-encoding', 'chunked']],
      [...JSON_TYPE, ['content-length', '-5']],
      [...JSON_TYPE, ['content-length', '1e3']],
      [...JSON_TYPE, ['expect', 'a miracle']],
      [...JSON_TYPE, ['x', 'y'.repeat(20_000)]],
    );
    const lengths = fc.constantFrom(1, 5, 1e6, 1e12);
    await property(
      anyWithBody().chain((operation) =>
        fc
          .tuple(addresses(operation), valuesOf(operation.schema), fc.oneof(heads, lengths))
          .map(([path, value, how]) => {
            const request = { method: operation.method, path, body: bodyOf(value) };
            return typeof how === 'number'
              ? { request: { ...request, headers: JSON_TYPE, longer: how }, wrong: true }
              : { request: { ...request, headers: how }, wrong: true };
          }),
      ),
    );
  });

  test('addresses that are damaged, and methods that are not there', async () => {
    const methods = fc.constantFrom(
      'GET',
      'HEAD',
      'POST',
      'PUT',
      'PATCH',
      'DELETE',
      'OPTIONS',
      'TRACE',
      'PROPFIND',
      'get',
      'G\u00e4T',
    );
    await property(
      anyOperation().chain((operation) =>
        fc
          .tuple(
            methods,
            addresses(operation).chain((path) => fc.oneof(brokenPath(path), fc.constant(path))),
          )
          .map(([method, path]) => ({
            request: { method, path, headers: [], body: null },
            wrong: false,
          })),
      ),
    );
  });

  test('bytes that are no request', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (bytes) => {
        const method = Buffer.from(bytes).toString('latin1').replaceAll('\n', '') || 'x';
        const { status } = await send(server.url, { method, path: '/healthz', headers: [], body: null });
        expect(status).toBeGreaterThanOrEqual(400);
        expect(status).toBeLessThan(500);
      }),
      options,
    );
  });

  test('and afterwards the server serves, and has noted no failure', async () => {
    expect((await server.ask('GET', '/readyz')).status).toBe(200);
    expect((await server.ask('POST', '/v1/recommendations', { history: ['i1'], k: 3 })).status).toBe(200);
    expect(server.log.filter((line) => JSON.parse(line).level >= 50)).toEqual([]);
  });
});
