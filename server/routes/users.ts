import Type from 'typebox';
import { Problem } from '../http/problem.ts';
import { route } from '../http/route.ts';
import { Id, ref, User } from '../http/schemas.ts';

export const users = [
  route({
    method: 'PUT',
    url: '/v1/users',
    role: 'write',
    operation: 'putUsers',
    tag: 'users',
    summary: 'Insert or replace users',
    description: 'Their columns, as the users file of the training had them; events stay.',
    body: Type.Union([ref(User), Type.Array(ref(User), { minItems: 1, maxItems: 10_000 })]),
    example: { id: 'ada', columns: { age: '25', city: 'London' } },
    reply: Type.Object({ users: Type.Integer({ description: 'how many were put' }) }),
    async handler({ body, context: { store } }) {
      const given = Array.isArray(body) ? body : [body];
      await store.putUsers(given.map(({ id, columns }) => ({ id, columns: columns ?? {} })));
      return { users: given.length };
    },
  }),
  route({
    method: 'DELETE',
    url: '/v1/users/:id',
    role: 'write',
    operation: 'deleteUser',
    tag: 'users',
    summary: 'Erase a user',
    description:
      'Events, columns and lists are gone from the store and its files. Trained weights keep their trace until the next training.',
    params: Type.Object({ id: Id }),
    reply: Type.Object({ deleted: Type.Boolean() }),
    async handler({ params: { id }, context: { store, shown, lists } }) {
      await shown.forget(id);
      const deleted = await store.deleteUser(id);
      lists.forget(id);
      if (!deleted) throw new Problem(404, 'unknown-id', 'no such user', 'id');
      return { deleted: true };
    },
  }),
];
