/** The coordinator over HTTP: what it takes and refuses, whose it is, and clients that join it. */
import { request } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import type { MemoryFiles } from '../../model/storage/files.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { openModel } from '../../recommend/node.ts';
import { Keys } from '../../server/http/keys.ts';
import { type FederationOptions, type FederationServer, serveFederation } from '../../server/federation/serve.ts';
import { addNoise, type WeightValues } from '../../train/federated/clip.ts';
import { FEDERATION_PATHS as PATHS, joinFederation } from '../../train/federated/join.ts';
import { encodeUpdate } from '../../train/federated/protocol.ts';
import { checkTerms, type FederationTerms } from '../../train/federated/terms.ts';
import { constant, message, untrained, walk } from '../federated/clients.ts';

let servers: FederationServer[] = [];
afterEach(async () => {
  for (const server of servers) await server.close();
  servers = [];
});

async function serve(
  given: Partial<FederationTerms> = {},
  more: Partial<FederationOptions> & { files?: MemoryFiles } = {},
): Promise<FederationServer & { files: MemoryFiles }> {
  const files = more.files ?? (await untrained());
  const terms = checkTerms({ rounds: 2, clients: 2, ...given });
  const server = await serveFederation({
    host: '127.0.0.1',
    port: 0,
    keys: null,
    log: 'silent',
    terms,
    ...more,
    files,
  });
  servers.push(server);
  return { ...server, files };
}

const send = (
  { address }: FederationServer,
  body: Uint8Array<ArrayBuffer> | string,
  headers: Record<string, string> = { 'content-type': 'application/octet-stream' },
  path: string = PATHS.updates,
) => fetch(`${address}${path}`, { method: 'POST', body, headers });

const problemOf = async (answer: Response) => {
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  const { status, code, detail } = (await answer.json()) as { status: number; code: string; detail: string };
  expect(answer.status).toBe(status);
  return { status, code, detail };
};

const ids = (from: number, length?: number): string[] => Array.from(walk(from, length), (row) => `i${row}`);

describe('an update', () => {
  test('is taken once, in its round, as it should be', async () => {
    const server = await serve();
    const { coordinator } = server;
    const good = (value = 0.01) => message(coordinator, constant(coordinator, value));
    const first = await good();
    const late = await good();
    expect(await (await send(server, first)).json()).toEqual({ round: 1, received: 1, closed: false });
    expect(await problemOf(await send(server, first))).toEqual({
      status: 409,
      code: 'already-exists',
      detail: 'update: its ticket is used, and one update came with it',
    });
    const { federation } = coordinator.info;
    const forged = encodeUpdate(constant(coordinator, 0), coordinator.shapes, { federation, round: 1, ticket: 'none' });
    expect(await problemOf(await send(server, forged))).toMatchObject({ status: 422, code: 'unknown-id' });
    const broken = constant(coordinator, 0.01);
    broken.get('items.weight')![3] = Number.NaN;
    expect(await problemOf(await send(server, await message(coordinator, broken)))).toMatchObject({
      status: 422,
      code: 'damaged-model',
      detail: expect.stringContaining('tensor items.weight holds NaN at 3'),
    });
    expect(await problemOf(await send(server, await good(1e6)))).toMatchObject({ status: 422, code: 'too-large' });
    expect(await problemOf(await send(server, new Uint8Array(coordinator.mostBytes + 1)))).toMatchObject({
      status: 413,
      code: 'too-large',
    });
    expect(await problemOf(await send(server, (await good()).slice(0, -4)))).toMatchObject({ status: 422 });
    expect((await fetch(`${server.address}${PATHS.info}`).then((answer) => answer.json())).received).toBe(1);
    expect(await (await send(server, await good())).json()).toEqual({ round: 1, received: 2, closed: true });
    expect(await problemOf(await send(server, late))).toEqual({
      status: 409,
      code: 'mismatched-data',
      detail: 'update: of round 1; round 2 is open',
    });
  });

  test.each([
    ['application/json', '{}'],
    ['text/plain', 'x'],
    ['multipart/form-data; boundary=x', 'x'],
  ])('as %s is refused', async (type, body) => {
    expect(await problemOf(await send(await serve(), body, { 'content-type': type }))).toMatchObject({
      status: 415,
      code: 'unsupported-media-type',
      detail: expect.stringContaining(`got ${type}`),
    });
  });

  test('a ticket is asked for in JSON, as no page of another site can', async () => {
    const server = await serve();
    for (const headers of [{ 'content-type': 'text/plain' }, { 'content-type': 'application/octet-stream' }])
      expect(await problemOf(await send(server, 'x', headers, PATHS.tickets))).toMatchObject({ status: 415 });
    expect((await fetch(`${server.address}${PATHS.tickets}`, { method: 'POST' })).status).toBe(415);
  });
});

describe('who may take part', () => {
  test('without keys only this machine, under a name of its own', async () => {
    await expect(serve({}, { host: '0.0.0.0' })).rejects.toThrow(
      '`host: 0.0.0.0`: without keys the coordinator is for this machine alone; add keys (attune keys add), or leave the host out',
    );
    const { address } = await serve();
    const { port } = new URL(address);
    const status = await new Promise((resolve) =>
      request({ host: '127.0.0.1', port, path: PATHS.info, headers: { host: 'evil.example' } }, ({ statusCode }) =>
        resolve(statusCode),
      ).end(),
    );
    expect(status).toBe(421);
  });

  test('with keys whoever has one, once a round', async () => {
    const [ada, bob, eve] = (['ada', 'bob', 'eve'] as const).map((name) =>
      Keys.create(name, name === 'eve' ? 'read' : 'write'),
    );
    const keys = Keys.parse([ada, bob, eve].map(({ line }) => line).join('\n'), 'keys');
    const server = await serve({ clients: 2, rounds: 1 }, { keys });
    const join = (key?: string) => joinFederation(server.address, { history: ids(0), key, device: 'cpu', pause: 20 });
    await expect(join()).rejects.toThrow('expected a known key, as Authorization: Bearer KEY');
    await expect(join(eve.key)).rejects.toThrow('the key eve has the role read; this needs write');
    // Ada's second client gets her ticket again, or none: one update counts.
    const twice = [join(ada.key), join(ada.key)];
    while (server.coordinator.info.received === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    const all = await Promise.all([...twice, join(bob.key)]);
    expect(all.flatMap(({ rounds }) => rounds.filter(({ refused }) => refused === null))).toHaveLength(2);
  });

  test('pages of the origins that are named', async () => {
    const server = await serve({}, { cors: ['https://shop.example'] });
    const asked = (origin: string) =>
      fetch(`${server.address}${PATHS.updates}`, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' },
      });
    expect((await asked('https://shop.example')).headers.get('access-control-allow-origin')).toBe(
      'https://shop.example',
    );
    expect((await asked('https://evil.example')).headers.get('access-control-allow-origin')).toBeNull();
  });
});

describe('clients that join', () => {
  test('train in all rounds, and the model is published after each', async () => {
    const server = await serve({ rounds: 3, clients: 2 });
    const before = await loadModel(server.files);
    const seen: number[] = [];
    const [one, two] = await Promise.all([
      joinFederation(server.address, {
        history: [...ids(0), 'not in the catalog'],
        device: 'cpu',
        pause: 20,
        onRound: ({ round }) => seen.push(round),
      }),
      joinFederation(server.address, { history: ids(5), device: 'cpu', pause: 20 }),
    ]);
    await server.done;
    expect(seen).toEqual([1, 2, 3]);
    expect(one).toMatchObject({ events: 10, unknown: 1 });
    expect(two.rounds.map(({ round, refused }) => [round, refused])).toEqual([1, 2, 3].map((round) => [round, null]));
    expect(one.rounds[0].loss).toBeGreaterThan(0);
    const after = await loadModel(server.files);
    expect(after.weights.step).toBe(3);
    expect(after.tensors.get('items.weight')).not.toEqual(before.tensors.get('items.weight'));
    const packed = await fetch(`${server.address}${PATHS.model}`).then((answer) => answer.arrayBuffer());
    expect((await loadModel(await openModel(packed))).tensors).toEqual(after.tensors);
    const lines = new TextDecoder()
      .decode((await server.files.read('metrics.jsonl')) as Uint8Array)
      .trim()
      .split('\n');
    expect(lines.map((line) => JSON.parse(line)).map(({ round, clients }) => [round, clients])).toEqual([
      [1, 2],
      [2, 2],
      [3, 2],
    ]);
    // What comes later finds that all is over.
    expect((await joinFederation(server.address, { history: ids(0), device: 'cpu' })).rounds).toEqual([]);
  });

  test('send nothing of their history but the update', async () => {
    const server = await serve({ rounds: 1, clients: 1 });
    const sent: { url: string; body: unknown }[] = [];
    await joinFederation(server.address, {
      history: ids(0),
      device: 'cpu',
      fetch: (url, init) => {
        sent.push({ url: String(url), body: init?.body });
        return fetch(url, init);
      },
    });
    const paths = sent.map(({ url }) => new URL(url).pathname);
    expect(paths).toEqual([
      PATHS.info,
      PATHS.model,
      PATHS.info,
      PATHS.tickets,
      PATHS.weights,
      PATHS.updates,
      PATHS.info,
    ]);
    expect(sent.map(({ body }) => body).filter((body) => body !== undefined)).toEqual(['{}', expect.any(Uint8Array)]);
    const text = new TextDecoder('latin1').decode(sent[5].body as Uint8Array);
    for (const id of ids(0)) expect(text).not.toContain(`"${id}"`);
  });

  test('leave after so many rounds, and when they are asked to', async () => {
    const server = await serve({ rounds: 3, clients: 2 });
    const some = joinFederation(server.address, { history: ids(0), device: 'cpu', pause: 20, rounds: 1 });
    expect((await some).rounds).toHaveLength(1);
    const abort = new AbortController();
    const waiting = joinFederation(server.address, {
      history: ids(3),
      device: 'cpu',
      pause: 20,
      signal: abort.signal,
      onRound: ({ round }) => round === 2 && abort.abort(),
    });
    await expect(waiting).rejects.toThrow('interrupted');
    expect(server.coordinator.info).toMatchObject({ round: 2, received: 1 });
  });

  test('say what keeps them out', async () => {
    const server = await serve({ noise: 0.5 });
    const join = (history: string[], more = {}) =>
      joinFederation(server.address, { history, device: 'cpu', pause: 20, ...more });
    await expect(join(ids(0), { leastNoise: 1 })).rejects.toThrow(/asks for a noise multiplier of 0\.5/);
    await expect(join(['unknown', 'also unknown'])).rejects.toThrow('none of the 2 items of the history is known');
    await expect(join(['i1', 'unknown'])).rejects.toThrow('a client needs two events of known items at least');
    await expect(joinFederation('http://127.0.0.1:9', { history: ids(0), device: 'cpu' })).rejects.toThrow(
      /^http:\/\/127\.0\.0\.1:9\/v1\/federation: no answer \(/,
    );
  });
});

test('a round whose deadline is over closes with enough updates, and waits for more with too few', async () => {
  const server = await serve({ clients: 5, leastClients: 2, rounds: 1 }, { deadline: 100 });
  const { coordinator } = server;
  await send(server, await message(coordinator, constant(coordinator, 0.01)));
  await new Promise((resolve) => setTimeout(resolve, 250));
  expect(coordinator.info).toMatchObject({ round: 1, received: 1 });
  await send(server, await message(coordinator, constant(coordinator, 0.01)));
  await server.done;
  expect(coordinator.info.done).toBe(true);
});

test('a coordinator that is started again takes what clients of the first one send', async () => {
  const first = await serve();
  const values = (): WeightValues => {
    const made = constant(first.coordinator, 0);
    addNoise(made, 0.001);
    return made;
  };
  const [one, two] = [await message(first.coordinator, values()), await message(first.coordinator, values())];
  expect((await send(first, one)).status).toBe(200);
  await first.close();
  servers = [];
  const second = await serve({}, { files: first.files });
  expect(second.coordinator.info).toMatchObject({ round: 1, received: 1 });
  expect((await problemOf(await send(second, one))).code).toBe('already-exists');
  expect(await (await send(second, two)).json()).toMatchObject({ closed: true });
});
