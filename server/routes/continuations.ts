import Type from 'typebox';
import { Problem } from '../http/problem.ts';
import { route } from '../http/route.ts';
import { Columns, Id, listOptions } from '../http/schemas.ts';
import { History, sessionEvents } from '../http/session.ts';
import { optionalTime } from '../http/times.ts';
import { historyOf } from '../serving/lists.ts';
import { subjectOf } from '../serving/subject.ts';
import { userState } from '../serving/user-state.ts';

const Continuation = Type.Object({
  items: Type.Array(Type.Object({ id: Type.String(), title: Type.String(), logProbability: Type.Number() })),
  logProbability: Type.Number(),
});

export const continuations = route({
  method: 'POST',
  url: '/v1/continuations',
  role: 'read',
  operation: 'continueHistory',
  tag: 'predictions',
  summary: 'Continue a history by several items',
  description: 'Each is predicted from all before it. Of a stored user, or of a history in the body.',
  body: Type.Object(
    {
      user: Type.Optional(Id),
      history: Type.Optional(History),
      columns: Type.Optional(Columns),
      steps: Type.Integer({ minimum: 1, maximum: 100 }),
      decode: Type.Optional(Type.Enum(['greedy', 'top-k', 'nucleus', 'beam'])),
      beams: Type.Optional(Type.Integer({ minimum: 1, maximum: 16 })),
      temperature: Type.Optional(Type.Number({ minimum: 0.01, maximum: 100 })),
      seed: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 })),
      exclude: listOptions.exclude,
      includeSeen: listOptions.includeSeen,
      now: listOptions.now,
    },
    { additionalProperties: false },
  ),
  example: { history: ['book-17', 'book-4'], steps: 3 },
  reply: Type.Object({
    ...Continuation.properties,
    beams: Type.Optional(Type.Array(Continuation)),
    model: Type.String(),
  }),
  async handler({ body: { user, history, columns, exclude = [], now, ...options }, context }) {
    if ((user === undefined) === (history === undefined))
      throw new Problem(400, 'invalid-request', 'expected either user or history', 'user');
    const subject =
      user === undefined
        ? { columns: columns ?? {}, events: sessionEvents(history ?? [], context.config.limits.history) }
        : await subjectOf(context, user);
    const { recommender, catalog, version } = context.models.current;
    const state = userState(subject.events, catalog, context.config, optionalTime(now));
    const { history: items, ...known } = historyOf(state, { ...subject.columns, ...columns });
    if (items.length === 0)
      throw new Problem(
        422,
        'unknown-id',
        'there is no event on an item that the model knows',
        user === undefined ? 'history' : 'user',
      );
    const away = [...state.unwanted, ...catalog.deleted].map((row) => catalog.items[row].id);
    const at = optionalTime(now);
    const answer = await recommender.generate(items, {
      ...known,
      ...options,
      ...(at !== undefined && { now: at }),
      exclude: [...exclude, ...away],
    });
    return { items: answer.items, logProbability: answer.logProbability, beams: answer.beams, model: version };
  },
});
