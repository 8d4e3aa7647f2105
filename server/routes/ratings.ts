import Type, { type Static } from 'typebox';
import { Problem } from '../http/problem.ts';
import { route } from '../http/route.ts';
import { Columns, Id, record, Time } from '../http/schemas.ts';
import { History, sessionEvents } from '../http/session.ts';
import { optionalTime } from '../http/times.ts';
import { subjectOf } from '../serving/subject.ts';

export const ratings = route({
  method: 'POST',
  url: '/v1/ratings',
  role: 'read',
  operation: 'predictRatings',
  tag: 'predictions',
  summary: 'Predict ratings',
  description:
    'Of the named items, for a stored user or a history in the body (events with a rating; stored ratings off the scale of the training are left out). Requires that the server was started with a model of ratings.',
  body: Type.Object(
    {
      user: Type.Optional(Id),
      history: Type.Optional(History),
      columns: Type.Optional(Columns),
      items: Type.Array(Id, { minItems: 1, maxItems: 1000 }),
      context: Type.Optional(
        record(
          Type.String({ maxLength: 4096 }),
          'columns of the log as the items are rated, for models that read them',
        ),
      ),
      now: Type.Optional(
        Type.Unsafe<Static<typeof Time>>({
          ...Time,
          description: 'when the items are rated; default: right after the last event',
        }),
      ),
    },
    { additionalProperties: false },
  ),
  example: { history: [{ item: 'book-17', rating: 4 }], items: ['book-4', 'book-5'] },
  reply: Type.Object({
    items: Type.Array(
      Type.Object({
        id: Type.String(),
        title: Type.String(),
        prediction: Type.Number({ description: 'the mean of the predicted distribution' }),
        median: Type.Number(),
      }),
    ),
    unknown: Type.Array(Type.String(), { description: 'items that the model does not know' }),
  }),
  async handler({ body: { user, history, columns, items, context: asked, now }, context }) {
    if (!context.ratings)
      throw new Problem(422, 'unsupported', 'no model of ratings is served here: the server was started without one');
    if ((user === undefined) === (history === undefined))
      throw new Problem(400, 'invalid-request', 'expected either user or history', 'user');
    const subject =
      user === undefined
        ? { columns: columns ?? {}, events: sessionEvents(history ?? [], context.config.limits.history) }
        : await subjectOf(context, user);
    const { least, most } = context.ratings.stored.loaded.config.ratingRange ?? { least: -Infinity, most: Infinity };
    const rated = subject.events.flatMap(({ item, rating, time, context: own }) =>
      rating === null || (user !== undefined && (rating < least || rating > most))
        ? []
        : [{ item, rating, time: Number.isNaN(time) ? undefined : time, context: own ?? undefined }],
    );
    const known = { ...subject.columns, ...columns };
    const answer = await context.ratings.predict({
      history: rated,
      items,
      time: optionalTime(now),
      context: asked,
      user: Object.keys(known).length > 0 ? known : undefined,
    });
    return {
      items: answer.items.map(({ id, title, prediction, median }) => ({ id, title, prediction, median })),
      unknown: answer.unknown.items,
    };
  },
});
