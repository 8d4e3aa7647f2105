import Type from 'typebox';
import { route } from '../http/route.ts';

export const metrics = route({
  method: 'GET',
  url: '/metrics',
  role: 'read',
  operation: 'getMetrics',
  tag: 'operation',
  summary: 'Metrics for Prometheus',
  description: 'Counters and timings since the start of this server; no IDs of users or items are among them.',
  reply: Type.String(),
  type: 'text/plain; version=0.0.4; charset=utf-8',
  handler: async ({ context: { metrics } }) => metrics.text(),
});
