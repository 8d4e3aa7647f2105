import Type from 'typebox';
import { route } from '../http/route.ts';

const Ok = Type.Object({ status: Type.Literal('ok') });

export const health = [
  route({
    method: 'GET',
    url: '/healthz',
    role: null,
    tag: 'operation',
    summary: 'The process is alive',
    reply: Ok,
    handler: async () => ({ status: 'ok' as const }),
  }),
  route({
    method: 'GET',
    url: '/readyz',
    role: null,
    tag: 'operation',
    summary: 'The model is warm and the store answers',
    reply: Ok,
    async handler({ context: { store } }) {
      await store.ping();
      return { status: 'ok' as const };
    },
  }),
];
