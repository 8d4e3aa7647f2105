import Type from 'typebox';
import { ROLES } from '../http/roles.ts';
import { route } from '../http/route.ts';

const Count = Type.Integer({ minimum: 0 });
const Milliseconds = Type.Number({ description: 'milliseconds since 1970' });

const Latency = Type.Union([Type.Object({ p50: Type.Number(), p90: Type.Number(), p99: Type.Number() }), Type.Null()], {
  description: 'milliseconds; null where there was no request',
});

const Second = Type.Object({ time: Milliseconds, requests: Count, failed: Count, events: Count, latency: Latency });

export const status = route({
  method: 'GET',
  url: '/v1/status',
  role: 'read',
  operation: 'getStatus',
  tag: 'operation',
  summary: 'What the server does now',
  description:
    "For the operator's page, which asks each second; monitoring reads /metrics. Requests are those for lists, events, items, users and predictions, and those to addresses that nothing is at.",
  query: Type.Object(
    {
      since: Type.Optional(
        Type.Number({
          minimum: 0,
          maximum: 8.64e15,
          description: 'only seconds after this one, milliseconds since 1970',
        }),
      ),
    },
    { additionalProperties: false },
  ),
  reply: Type.Object({
    time: Milliseconds,
    started: Milliseconds,
    role: Type.Enum([...ROLES], { description: 'what the key that asks may do' }),
    model: Type.String({ description: 'version of the model that answers' }),
    device: Type.String({ description: 'what the model runs on' }),
    store: Type.Object({ name: Type.String(), users: Count, items: Count, events: Count }),
    statuses: Type.Array(Type.Object({ status: Type.Integer(), requests: Count }), {
      description: 'requests since the start by status',
    }),
    eventsAdded: Type.Integer({ minimum: 0, description: 'since the start' }),
    online: Type.Array(
      Type.Object({
        model: Type.String({ description: 'version' }),
        events: Type.Integer({ minimum: 0, description: 'that came next after a list which the user was shown' }),
        hits: Type.Integer({ minimum: 0, description: 'of these, those whose item was in the list' }),
        coverage: Type.Number({ description: 'share of the catalog that was shown' }),
      }),
      { description: 'how the lists of each model fared since the start' },
    ),
    minute: Type.Object(
      { requests: Count, failed: Count, events: Count, latency: Latency },
      { description: 'the last minute; failed: answered with a status of 500 or above' },
    ),
    seconds: Type.Array(Second, { description: 'whole seconds, oldest first, at most the last five minutes' }),
  }),
  async handler({ query: { since = 0 }, context: { store, sizes, models, metrics }, role }) {
    const { traffic } = metrics;
    const { version, recommender, catalog } = models.current;
    return {
      time: Date.now(),
      started: traffic.started,
      role: role ?? 'read',
      model: version,
      device: recommender.device.name,
      store: { name: store.name, ...(await sizes.get()) },
      statuses: Array.from(traffic.byStatus, ([status, requests]) => ({ status, requests })).sort(
        (a, b) => a.status - b.status,
      ),
      eventsAdded: traffic.eventsAdded,
      online: metrics.onlineByModel(catalog.items.length),
      minute: traffic.recent(),
      seconds: traffic.secondsAfter(since),
    };
  },
});
