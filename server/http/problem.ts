/** Errors as RFC 9457 problem documents: one cause each, with the field at fault. */
import { STATUS_CODES } from 'node:http';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import { InputError } from '../../data/errors.ts';
import { messageLine } from '../../data/visible.ts';

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
  'too-large': 413,
  unsupported: 422,
  'unknown-id': 422,
  'damaged-model': 422,
  'unfinished-model': 422,
  'not-a-model': 422,
  locked: 423,
};

function problemOf(error: FastifyError | InputError | Problem | Error): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof InputError)
    return new Problem(STATUS_OF[error.code] ?? 400, error.code, error.message, error.setting);
  const { validation, validationContext, statusCode, code } = error as FastifyError;
  if (validation) {
    const [{ instancePath, message, params }] = validation;
    const extra = (params as { additionalProperty?: string }).additionalProperty;
    const where = `${validationContext}${instancePath}${extra === undefined ? '' : `/${extra}`}`;
    return new Problem(400, 'invalid-request', `${where}: ${extra === undefined ? message : 'unknown field'}`, where);
  }
  if (statusCode && statusCode >= 400 && statusCode < 500) {
    const slug = code
      ? code
          .toLowerCase()
          .replace(/^fst_(err_)?/, '')
          .replaceAll('_', '-')
      : 'invalid-request';
    return new Problem(statusCode, slug, error.message);
  }
  if (statusCode === 503)
    return new Problem(503, 'overloaded', 'the server has more work than it can do; try again later');
  return new Problem(500, 'internal', 'internal error; the log of the server has the cause under this instance');
}

export function sendProblem(error: Error, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status, code, message, field } = problemOf(error);
  if (status >= 500) request.log.error({ err: error }, 'request failed');
  const title = STATUS_CODES[status] ?? 'Error';
  const document = { type: `urn:attune:${code}`, title, status, code, detail: message, field, instance: request.id };
  return reply
    .code(status)
    .type('application/problem+json')
    .serializer((value: unknown) => JSON.stringify(value))
    .send(document);
}
