/** A route is declared once: its address, who may call it, what it takes and answers. The table is routes/index.ts. */
import type { Static, TSchema } from 'typebox';
import type { Context } from '../context.ts';
import type { Role } from './roles.ts';

/** What a handler gets, validated. */
export interface Call<P extends TSchema, Q extends TSchema, B extends TSchema> {
  params: Static<P>;
  query: Static<Q>;
  body: Static<B>;
  context: Context;
  /** Of the key that asks; null: none where there are keys. Without keys everybody may do everything. */
  role: Role | null;
  /** Aborted when the client leaves. */
  signal: AbortSignal;
}

export interface RouteSpec<P extends TSchema, Q extends TSchema, B extends TSchema, R extends TSchema> {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  url: string;
  /** The role that a key must have; null where none is needed. */
  role: Role | null;
  /** Name of the operation, unique: the client's method, `recommendForUser`. */
  operation: string;
  tag: string;
  /** A few words without a full stop. */
  summary: string;
  /** What callers must know beyond the schemas, in sentences. */
  description: string;
  params?: P;
  query?: Q;
  body?: B;
  /** A body that works, for the documentation. */
  example?: Static<B>;
  /** Schema of the answer of `status`. */
  reply: R;
  /** Default: 200. */
  status?: number;
  /** Media type of the answer; default: application/json. */
  type?: string;
  /** Status → what it means here, of the problems that only this route has: `{ 404: 'no such scenario' }`. */
  problems?: Readonly<Record<number, string>>;
  handler(call: Call<P, Q, B>): Promise<Static<R>>;
}

/** A route whose types are known to its own file alone. */
export type Route = RouteSpec<TSchema, TSchema, TSchema, TSchema>;

export const route = <
  R extends TSchema,
  P extends TSchema = TSchema,
  Q extends TSchema = TSchema,
  B extends TSchema = TSchema,
>(
  spec: RouteSpec<P, Q, B, R>,
): Route => spec as unknown as Route;
