/** The OpenAPI document: valid to others' tools, complete, and true of the running server. */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { dereference, validate } from '@readme/openapi-parser';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROUTES } from '../../server/routes/index.ts';
import { type Started, start } from './start.ts';

// biome-ignore lint/suspicious/noExplicitAny: a JSON document
type Json = any;

let server: Started;
let document: Json;
/** The same without references. */
let whole: Json;
beforeAll(async () => {
  server = await start();
  document = (await server.ask('GET', '/openapi.json')).body;
  whole = await dereference(structuredClone(document));
});
afterAll(() => server.close());

const operations = (from: Json): { path: string; method: string; operation: Json }[] =>
  Object.entries<Json>(from.paths).flatMap(([path, methods]) =>
    Object.entries<Json>(methods).map(([method, operation]) => ({ path, method, operation })),
  );

describe('the document', () => {
  test('is valid OpenAPI 3.1 to a validator of others', async () => {
    expect(document.openapi).toMatch(/^3\.1\./);
    expect(await validate(structuredClone(document))).toMatchObject({ valid: true, warnings: [] });
  });

  test('has each route of the table, and no other', () => {
    const listed = operations(document).map(({ path, method }) => `${method.toUpperCase()} ${path}`);
    const declared = ROUTES.map(({ method, url }) => `${method} ${url.replace(/:(\w+)/g, '{$1}')}`);
    expect(listed.sort()).toEqual(declared.sort());
  });

  test('describes each route, its parameters, its bodies and its problems', () => {
    const tags = document.tags.map(({ name }: Json) => name);
    const ids = new Set<string>();
    for (const { path, method, operation } of operations(whole)) {
      const where = `${method} ${path}`;
      expect(operation.operationId, where).toMatch(/^[a-z][A-Za-z]+$/);
      ids.add(operation.operationId);
      expect(tags, where).toContain(operation.tags[0]);
      expect(operation.summary, where).toMatch(/^[A-Z].*[^.]$/);
      expect(operation.description, where).toMatch(/^[A-Z].*\.$/s);
      for (const { name, description } of operation.parameters ?? [])
        expect(description ?? '', `${where}: ${name}`).toMatch(/\w/);
      if (operation.requestBody) expect(operation.requestBody.content['application/json'].example, where).toBeDefined();
      expect(operation.responses.default.content['application/problem+json'].schema, where).toBeDefined();
      for (const [status, { description, content }] of Object.entries<Json>(operation.responses)) {
        expect(description, `${where}: ${status}`).toMatch(/\w/);
        if (/^[45]/.test(status)) expect(Object.keys(content), where).toEqual(['application/problem+json']);
      }
      const needed = operation.security.length > 0;
      expect('401' in operation.responses && '403' in operation.responses, where).toBe(needed);
    }
    expect(ids.size).toBe(ROUTES.length);
  });

  test('is true: each example is taken, and each answer is as its schema says', async () => {
    const ajv = new Ajv2020({ strict: false });
    for (const { path, method, operation } of operations(whole)) {
      const where = `${method} ${path}`;
      const media = operation.requestBody?.content['application/json'];
      if (media) expect(ajv.validate(media.schema, media.example), `${where}: ${ajv.errorsText()}`).toBe(true);
      const { status, headers, body } = await server.ask(
        method.toUpperCase(),
        path.replace(/\{\w+\}/g, 'i1'),
        media?.example,
      );
      expect([400, 405, 413, 415, 500], `${where}: ${JSON.stringify(body)}`).not.toContain(status);
      const { content = {} } = operation.responses[status] ?? operation.responses.default;
      const [type] = (headers.get('content-type') ?? '').split(';');
      const answer = Object.entries<Json>(content).find(([name]) => name.split(';')[0] === type)?.[1];
      if (type === '') continue;
      expect(answer, `${where}: ${status} of the type ${type}`).toBeDefined();
      expect(ajv.validate(answer.schema, body), `${where}: ${status}: ${ajv.errorsText()}`).toBe(true);
    }
  });
});

describe('a generator of others', () => {
  const own = fileURLToPath(new URL('generator', import.meta.url));
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'attune-generator-'));
    for (const name of ['package.json', 'package-lock.json']) cpSync(join(own, name), join(folder, name));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const exec = promisify(execFile);
  /** Not synchronously: the server in this process would take the wait for a load that it cannot bear. */
  const run = (command: string, args: readonly string[]): Promise<{ status: number; output: string }> =>
    exec(command, args, { cwd: folder }).then(
      ({ stdout, stderr }) => ({ status: 0, output: `${stdout}${stderr}` }),
      ({ code, stdout, stderr }) => ({ status: Number(code), output: `${stdout}${stderr}` }),
    );

  /** Calls the server through openapi-fetch with the types of openapi-typescript. */
  const PROBE = `
    import createClient from 'openapi-fetch';
    import type { paths } from './schema.js';
    const client = createClient<paths>({ baseUrl: process.argv[2] });
    const added = await client.POST('/v1/events', { body: [{ user: 'ann', item: 'i2', time: '2026-01-02T03:04:05Z' }] });
    const list = await client.GET('/v1/users/{id}/recommendations', {
      params: { path: { id: 'ann' }, query: { k: 3, exclude: ['i3'] } },
    });
    const wrong = await client.POST('/v1/events', { body: { user: '', item: 'i2' } });
    const ids: string[] | undefined = list.data?.items.map(({ id }) => id);
    const field: string | undefined = wrong.error?.field;
    console.log(JSON.stringify({ added: added.data?.added, ids, field }));
  `;
  const tsc = (name: string) =>
    run('npx', ['tsc', '--module', 'nodenext', '--target', 'es2022', '--strict', '--skipLibCheck', name]);

  test('openapi-typescript makes types of the running server, with which openapi-fetch calls it', async ({ skip }) => {
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--fetch-retries=0', '--fetch-timeout=60000'];
    const installed = await run('npm', ['ci', ...flags]);
    if (
      installed.status !== 0 &&
      /\b(ENOTFOUND|EAI_AGAIN|ECONN\w+|ETIMEDOUT|E50\d|ENETUNREACH)\b/.test(installed.output)
    )
      skip('the registry cannot be reached: no generator of others was run');
    expect(installed.status, installed.output).toBe(0);
    writeFileSync(join(folder, 'openapi.json'), JSON.stringify((await server.ask('GET', '/openapi.json')).body));
    const generated = await run('npx', ['openapi-typescript', 'openapi.json', '-o', 'schema.d.ts']);
    expect(generated.status, generated.output).toBe(0);
    expect(existsSync(join(folder, 'schema.d.ts'))).toBe(true);
    const probe = `declare const process: { argv: string[] };\n${PROBE}`;
    writeFileSync(join(folder, 'probe.ts'), probe);
    const compiled = await tsc('probe.ts');
    expect(compiled.status, compiled.output).toBe(0);
    writeFileSync(join(folder, 'wrong.ts'), probe.replace('k: 3', "k: 'three'").replace("user: 'ann', ", ''));
    const { output: refused } = await tsc('wrong.ts');
    expect(refused).toMatch(/'string' is not assignable to type 'number'/);
    expect(refused).toMatch(/'user' is missing/);
    const { stdout: answer } = await exec(process.execPath, ['probe.js', server.url], { cwd: folder });
    const { added, ids, field } = JSON.parse(answer);
    expect({ added, field }).toEqual({ added: 1, field: '/user' });
    expect(ids).toHaveLength(3);
    expect(ids).not.toContain('i2');
    expect(ids).not.toContain('i3');
    expect(readFileSync(join(folder, 'schema.d.ts'), 'utf8')).toContain('recommendForUser');
  });
});
