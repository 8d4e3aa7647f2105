import Type from 'typebox';
import { route } from '../http/route.ts';

const Ok = Type.Object({ status: Type.Literal('ok') });

export const health = [
  route({
    method: 'GET',
    url: '/healthz',
    role: null,
    operation: 'health',
    tag: 'operation',
    summary: 'The process is alive',
    description: 'For liveness probes: it answers whatever the load, and needs no key.',
    reply: Ok,
    handler: async () => ({ status: 'ok' as const }),
  }),
  route({
    method: 'GET',
    url: '/readyz',
    role: null,
    operation: 'ready',
    tag: 'operation',
    summary: 'The model is warm and the store answers',
    description: 'For load balancers: whether requests may be sent here. It needs no key.',
    reply: Ok,
    async handler({ context: { store } }) {
      await store.ping();
      return { status: 'ok' as const };
    },
  }),
];
