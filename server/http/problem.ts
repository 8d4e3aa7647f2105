/** Errors as RFC 9457 problem documents: one cause each, with the field at fault. */
import { STATUS_CODES } from 'node:http';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { ErrorObject } from 'ajv';
import Type from 'typebox';
import { InputError } from '../../data/errors.ts';
import { messageLine } from '../../data/visible.ts';
import { StoreUnavailable } from '../store/store.ts';
import { faultOf, type Part } from './validation.ts';

/** An error that the server answers with: a stable code, an HTTP status, and the field of the request at fault. */
export class Problem extends Error {
  override name = 'Problem';
  readonly status: number;
  readonly code: string;
  readonly field: string | undefined;
  /** Headers of the answer: Retry-After, say. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, detail: string, field?: string, headers: Record<string, string> = {}) {
    super(messageLine(detail));
    this.status = status;
    this.code = code;
    this.field = field;
    this.headers = headers;
  }
}

export const ProblemDocument = Type.Object(
  {
    type: Type.String({ description: '`urn:attune:CODE`' }),
    title: Type.String({ description: 'the phrase of the HTTP status' }),
    status: Type.Integer(),
    code: Type.String({ description: 'stable, for programs' }),
    detail: Type.String({ description: 'what was wrong, and what to do' }),
    field: Type.Optional(
      Type.String({ description: 'the field of the request at fault, as a JSON pointer or a name' }),
    ),
    instance: Type.String({ description: 'the id of the request, as the log has it' }),
  },
  { $id: 'Problem' },
);

/** What of an `InputError` is a request's fault: all but what says that the server's own model or store is unusable. */
const STATUS_OF: Partial<Record<InputError['code'], number>> = {
  'not-found': 404,
  'already-exists': 409,
  'trained-on': 409,
  'mismatched-data': 409,
  'too-large': 422,
  unsupported: 422,
  'unknown-id': 422,
  'damaged-model': 422,
  'unfinished-model': 422,
  'not-a-model': 422,
  locked: 423,
};

/** How the library starts messages about options of lists, and the fields that these are. */
const ABOUT: readonly (readonly [RegExp, string])[] = [
  [/^(none of the \d+ items of the )?history\b/, 'history'],
  [/^condition "/, 'where'],
  [/^cap /, 'caps'],
  [/^calibrate\b/, 'calibrate'],
  [/^expose /, 'expose'],
  [/^explore /, 'explore'],
  [/^diversity:/, 'diversity'],
];

/** What Fastify refuses by itself, in our words. */
const REFUSED: Record<string, ((request: FastifyRequest) => Problem) | undefined> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ({ routeOptions: { bodyLimit } }) =>
    new Problem(413, 'too-large', `the body has more than ${bodyLimit} bytes`, 'body'),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ({ headers }) => wrongMediaType(headers['content-type']),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: () =>
    new Problem(400, 'invalid-request', 'the body is not as long as its header Content-Length says', 'body'),
  FST_ERR_BAD_URL: () => new Problem(400, 'invalid-address', 'the address is damaged: expected percent-encoded UTF-8'),
  FST_ERR_MAX_PARAM_LENGTH: () => new Problem(414, 'too-large', 'a part of the address is too long'),
};

export const wrongMediaType = (given: string | undefined): Problem =>
  new Problem(
    415,
    'unsupported-media-type',
    `expected a body with Content-Type: application/json in UTF-8, uncompressed, got ${given ?? 'none'}`,
    'Content-Type',
  );

const aboutOf = ({ reason }: InputError): string | undefined => ABOUT.find(([start]) => start.test(reason))?.[1];

function problemOf(error: FastifyError | InputError | Problem | Error, request: FastifyRequest): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof InputError)
    return new Problem(STATUS_OF[error.code] ?? 400, error.code, error.message, error.setting ?? aboutOf(error));
  if (error instanceof StoreUnavailable)
    return new Problem(503, 'store-unavailable', 'the store cannot be used now; try again later', undefined, {
      'retry-after': '1',
    });
  const { validation, validationContext, statusCode, code } = error as FastifyError;
  if (validation) {
    if (validationContext === 'body' && request.body === undefined)
      return new Problem(400, 'invalid-request', 'expected a JSON body, got none', 'body');
    const { field, detail } = faultOf(validation as ErrorObject[], validationContext as Part);
    return new Problem(400, 'invalid-request', detail, field);
  }
  const refused = REFUSED[code]?.(request);
  if (refused) return refused;
  // A body that ends early, say: the client left, and most likely reads no answer.
  if (statusCode && statusCode >= 400 && statusCode < 500)
    return new Problem(statusCode, 'invalid-request', error.message);
  return new Problem(500, 'internal', 'internal error; the log of the server has the cause under this instance');
}

/**
 * Fields are JSON pointers where they are in the body, and names elsewhere: in the address, or a header's. Handlers and the
 * library name an option without knowing where the request had it.
 */
function fieldIn({ routeOptions }: FastifyRequest, field: string | undefined): string | undefined {
  if (field === undefined || field === 'body' || /^[A-Z]/.test(field)) return field;
  const { body, querystring, params } = (routeOptions?.schema ?? {}) as Record<
    string,
    { properties?: object } | undefined
  >;
  const name = field.replace(/^\//, '');
  const inAddress = [querystring, params].some((part) => part?.properties && Object.hasOwn(part.properties, name));
  return body === undefined || inAddress ? name : `/${name}`;
}

/** The document that a client gets. */
export function documentOf({ status, code, message, field }: Problem, instance: string): object {
  const title = STATUS_CODES[status] ?? 'Error';
  return { type: `urn:attune:${code}`, title, status, code, detail: message, field, instance };
}

export function sendProblem(error: Error, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const given = problemOf(error, request);
  const { status, code, message, headers } = given;
  const problem = new Problem(status, code, message, fieldIn(request, given.field), headers);
  if (status >= 500 && !(error instanceof Problem)) request.log.error({ err: error }, 'request failed');
  request.problem = code;
  return reply
    .code(status)
    .headers(headers)
    .header('x-request-id', request.id)
    .type('application/problem+json')
    .serializer((value: unknown) => JSON.stringify(value))
    .send(documentOf(problem, request.id));
}
