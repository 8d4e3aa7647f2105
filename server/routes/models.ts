import Type from 'typebox';
import { route } from '../http/route.ts';
import { replaceModel } from '../serving/replace.ts';

const Model = Type.Object({
  folder: Type.String({ description: 'its name, as POST takes it' }),
  version: Type.String({ description: 'what tells it from others, in answers, metrics and logs' }),
  trained: Type.String({ description: 'ISO date' }),
  recipe: Type.String(),
  items: Type.Integer(),
  protocol: Type.String({ description: 'under which its metrics were measured; final: trained on all events' }),
  metrics: Type.Record(Type.String(), Type.Number(), { description: 'of the validation; empty where there are none' }),
  active: Type.Boolean({ description: 'it answers now' }),
});

const Nullable = Type.Union([Type.Number(), Type.Null()]);

export const models = [
  route({
    method: 'GET',
    url: '/v1/models',
    role: 'admin',
    operation: 'listModels',
    tag: 'models',
    summary: 'The models there are',
    description: 'Those of the folder of models, and the one that the server was started with; which of them answers.',
    reply: Type.Object({
      models: Type.Array(Model),
      unreadable: Type.Array(Type.Object({ folder: Type.String(), reason: Type.String() })),
    }),
    async handler({ context: { models, folders } }) {
      const { models: found, unreadable } = await folders.list();
      const { name, version } = models.current;
      return {
        models: found.map((model) => ({
          ...model,
          active: model.version === version && model.folder === name,
        })),
        unreadable,
      };
    },
  }),
  route({
    method: 'POST',
    url: '/v1/models',
    role: 'admin',
    operation: 'activateModel',
    tag: 'models',
    summary: 'Replace the model that answers',
    description:
      'By another of the folder of models, without a pause: it is loaded and tried beside the current one, which answers until then. It must read what the current one reads, its scores must be finite, and on stored events that are newer than both trainings its NDCG@10 must not be significantly worse. A model that fails is refused, and the current one stays.',
    body: Type.Object(
      {
        folder: Type.String({ minLength: 1, maxLength: 255, description: 'as GET lists it' }),
        force: Type.Optional(
          Type.Boolean({ description: 'take it though it reads other columns, or is significantly worse' }),
        ),
      },
      { additionalProperties: false },
    ),
    example: { folder: 'model' },
    reply: Type.Object({
      folder: Type.String(),
      version: Type.String(),
      swapped: Type.Boolean({ description: 'false: this very model answers already' }),
      comparison: Type.Object({
        compared: Type.Boolean({ description: 'false where too few stored events are newer than both trainings' }),
        users: Type.Integer({ description: 'each with one event' }),
        current: { ...Nullable, description: 'NDCG@10' },
        candidate: { ...Nullable, description: 'NDCG@10' },
        difference: { ...Nullable, description: 'mean of candidate - current over users' },
        standardError: { ...Nullable, description: 'of the difference' },
        note: Type.String(),
      }),
    }),
    problems: {
      404: 'no such folder among the models',
      409: 'another model is being loaded',
      422: 'the model is damaged, or refused: the detail says why; the current one stays',
    },
    async handler({ body: { folder, force = false }, context }) {
      return replaceModel(context, await context.folders.find(folder), force);
    },
  }),
];
