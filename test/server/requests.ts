/** Requests made from the schemas of an OpenAPI document, well-formed and damaged, as bytes on a socket. */
import { connect } from 'node:net';
import fc, { type Arbitrary } from 'fast-check';

// biome-ignore lint/suspicious/noExplicitAny: a JSON document
type Json = any;

/** Texts that break what is careless: each is a valid string of JSON. */
const HOSTILE = [
  '',
  ' ',
  '0',
  '-1',
  'null',
  '__proto__',
  'constructor',
  'toString',
  '../../etc/passwd',
  "'; DROP TABLE events; --",
  '%00',
  '%',
  '\0',
  '\ud83d',
  '\u202e\u0007\r\nX: y',
  '\u{1f600}'.repeat(200),
  'a'.repeat(3000),
  '1e999',
  'NaN',
  '2026-99-99',
  '2026-03-14T15:09:26Z',
  '(((((',
  'genre=Drama',
  'not '.repeat(100),
  'seller != $user',
  '$user',
  'genre:1',
];

const texts = fc.oneof(
  { weight: 4, arbitrary: fc.nat(30).map((n) => `i${n}`) },
  { weight: 2, arbitrary: fc.constantFrom(...HOSTILE) },
  { weight: 2, arbitrary: fc.string({ maxLength: 20 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }) },
);

const numbers = fc.oneof(
  fc.integer({ min: 0, max: 200 }),
  fc.constantFrom(-1, -0, 0.5, 1e15, 2 ** 53, 1e300, -1e300, 5e-324),
);

/** Any value of JSON. */
const anything: Arbitrary<Json> = fc.oneof(
  texts,
  numbers,
  fc.constantFrom(null, true, false, [], {}, [[]], [null], { id: {} }),
  fc.jsonValue({ maxDepth: 4 }),
);

/** Values that a schema without references admits, most of them. */
export function valuesOf(schema: Json): Arbitrary<Json> {
  if ('const' in schema) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map(valuesOf));
  switch (schema.type) {
    case 'string':
      return texts;
    case 'integer':
      return fc.integer({ min: schema.minimum ?? 0, max: Math.min(schema.maximum ?? 1000, 2 ** 31 - 1) });
    case 'number':
      return fc.oneof(fc.double({ min: schema.minimum ?? -1e9, max: schema.maximum ?? 1e9, noNaN: true }), numbers);
    case 'boolean':
      return fc.boolean();
    case 'array':
      return fc.array(valuesOf(schema.items), { minLength: Math.min(schema.minItems ?? 0, 3), maxLength: 6 });
    case 'object':
      return schema.properties
        ? fc.record(
            Object.fromEntries(Object.entries<Json>(schema.properties).map(([name, own]) => [name, valuesOf(own)])),
            { requiredKeys: schema.required ?? [] },
          )
        : fc.dictionary(texts, valuesOf(schema.additionalProperties || {}), { maxKeys: 4 });
    default:
      return anything;
  }
}

/** A value with one part of it replaced, added or taken away. */
export const damaged = (value: Json): Arbitrary<Json> =>
  fc.tuple(fc.nat(1000), anything, fc.boolean()).map(([at, other, drop]) => {
    const copy = structuredClone(value);
    const spots: [Json, string | number][] = [];
    const walk = (node: Json): void => {
      if (node === null || typeof node !== 'object') return;
      for (const key of Object.keys(node)) {
        spots.push([node, key]);
        walk(node[key]);
      }
      if (!Array.isArray(node)) spots.push([node, 'more']);
    };
    walk(copy);
    if (spots.length === 0) return other;
    const [node, key] = spots[at % spots.length];
    if (drop) delete node[key];
    else Object.defineProperty(node, key, { value: other, enumerable: true, configurable: true, writable: true });
    return copy;
  });

/** JSON that is none, or none that may be taken; `text` is some that is. */
export const brokenJson = (text: string): Arbitrary<Buffer> =>
  fc
    .oneof(
      fc.nat(Math.max(0, text.length - 1)).map((cut) => text.slice(0, cut)),
      fc.constantFrom(
        `${text}${text}`,
        `${text},`,
        `//\n${text}`,
        `{"a":1,"a":${text}}`,
        `{"__proto__":${text}}`,
        `{"a":{"__proto__":null},"b":${text}}`,
        '{"user":NaN,"item":Infinity}',
        "{'user':'a'}",
        '{"user":"\\ud800","item":"i1"}',
        '{"user":"\\u0000","item":"i1"}',
        '{"user":"a\nb"}',
        '{"user":01}',
        '['.repeat(20) + ']'.repeat(20),
        '['.repeat(50_000),
        '{"a":'.repeat(50_000),
        `"${'\\"'.repeat(20_000)}`,
      ),
    )
    .map((broken) => Buffer.from(broken))
    .chain((bytes) =>
      fc.constantFrom(
        bytes,
        Buffer.concat([Buffer.from('{"user":"'), Buffer.from([0xc3, 0x28, 0xff]), Buffer.from('"}')]),
        Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, 'utf16le')]),
      ),
    )
    // A cut that leaves nothing, or an integer, is no damage.
    .filter(
      (bytes) => !isJson(bytes.toString()) || /__proto__|\\u0000|\\ud800|"a".*"a"|^\[{20}/s.test(bytes.toString()),
    );

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

/** Addresses that are damaged; `path` is one that is not. */
export const brokenPath = (path: string): Arbitrary<string> =>
  fc.constantFrom(
    `${path}%`,
    `${path}/%zz`,
    `${path}?a=%ff`,
    `${path}?a=%`,
    `${path}?a=%00`,
    `${path}?${'a'.repeat(2000)}=1`,
    `${path}/../../%2e%2e/etc`,
    `//${path}`,
    `${path}\\`,
    `${path}/\xff\xfe`,
    `/v1/users/${'%F0%9F%98%80'.repeat(600)}/recommendations`,
    `${path}?${'k=1&'.repeat(300)}`,
    `${path}?__proto__=1&constructor=2`,
    `${path}?a[b]=1&a[]=2`,
    `${path}#x`,
    `*`,
  );

export interface RawRequest {
  method: string;
  path: string;
  headers: readonly (readonly [string, string])[];
  body: Buffer | null;
  /** What Content-Length says beyond the truth. */
  longer?: number;
}

export interface RawAnswer {
  status: number;
  type: string;
  body: string;
}

/** Sends a request on a connection of its own. @throws where no answer comes */
export function send(address: string, { method, path, headers, body, longer = 0 }: RawRequest): Promise<RawAnswer> {
  const { hostname, port } = new URL(address);
  const length = body === null ? [] : [['content-length', `${body.length + longer}`] as const];
  const head = [['host', 'localhost'], ['connection', 'close'], ...length, ...headers];
  const lines = head.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const bytes = Buffer.concat([
    Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines}\r\n`, 'latin1'),
    body ?? Buffer.alloc(0),
  ]);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    const chunks: Buffer[] = [];
    const timer = setTimeout(() => socket.destroy(new Error('no answer within a minute')), 60_000);
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', (error) => chunks.length === 0 && reject(error));
    socket.on('close', () => {
      clearTimeout(timer);
      const text = Buffer.concat(chunks).toString();
      const found = /^HTTP\/1\.1 (\d{3}) [^\r]*\r\n(.*?)\r\n\r\n(.*)$/s.exec(text);
      if (!found) reject(new Error(`expected an answer, got ${JSON.stringify(text.slice(0, 200))}`));
      else {
        const [, status, fields, rest] = found;
        const type = /^content-type: *([^;\r\n]*)/im.exec(fields)?.[1] ?? '';
        resolve({ status: Number(status), type, body: rest });
      }
    });
    // Whoever leaves gets no answer that is still being made; a body that ends early ends with its sender.
    if (longer > 0) socket.end(bytes);
    else socket.write(bytes);
  });
}
