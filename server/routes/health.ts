import Type from 'typebox';
import { Problem } from '../http/problem.ts';
import { route } from '../http/route.ts';
import { notReady } from '../serving/models.ts';

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
    description:
      'For load balancers: whether requests may be sent here. It needs no key; 503 until the first model is warm, and from the signal to end on.',
    reply: Ok,
    problems: { 503: 'the model is being loaded, or the server is about to end' },
    async handler({ context: { store, models, ending } }) {
      if (!models.ready) throw notReady();
      if (ending()) throw new Problem(503, 'ending', 'the server is about to end', undefined, { 'retry-after': '1' });
      await store.ping();
      return { status: 'ok' as const };
    },
  }),
];
