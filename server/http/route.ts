/** A route is declared once: its address, who may call it, what it takes and answers. The table is routes/index.ts. */
import type { Static, TSchema } from 'typebox';
import type { Context } from '../context.ts';
import type { Role } from './keys.ts';

/** What a handler gets, validated. */
export interface Call<P extends TSchema, Q extends TSchema, B extends TSchema> {
  params: Static<P>;
  query: Static<Q>;
  body: Static<B>;
  context: Context;
  /** Aborted when the client leaves. */
  signal: AbortSignal;
}

export interface RouteSpec<P extends TSchema, Q extends TSchema, B extends TSchema, R extends TSchema> {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  url: string;
  /** The role that a key must have; null where none is needed. */
  role: Role | null;
  tag: string;
  summary: string;
  description?: string;
  params?: P;
  query?: Q;
  body?: B;
  /** Schema of the answer; the answer of `status`. */
  reply: R;
  status?: number;
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
