import Type from 'typebox';
import { Problem } from '../http/problem.ts';
import { route } from '../http/route.ts';
import { Id, Item, ref } from '../http/schemas.ts';

export const items = [
  route({
    method: 'PUT',
    url: '/v1/items',
    role: 'write',
    operation: 'putItems',
    tag: 'items',
    summary: 'Insert or replace items',
    description:
      'Titles and attributes count from the answer on: in lists, filters and caps. A model that reads attributes recommends items that are new to it, too; others list them under /v1/latest and /v1/popular until the next training.',
    body: Type.Union([ref(Item), Type.Array(ref(Item), { minItems: 1, maxItems: 10_000 })]),
    example: [{ id: 'book-17', title: 'A Book', attributes: { genre: 'Drama|War', price: '9.90' } }],
    reply: Type.Object({ items: Type.Integer({ description: 'how many were put' }) }),
    async handler({ body, context: { store, models } }) {
      const given = Array.isArray(body) ? body : [body];
      const seen = new Set<string>();
      given.forEach(({ id }, i) => {
        if (seen.has(id)) throw new Problem(400, 'invalid-request', `the item ${id} is there twice`, `/${i}/id`);
        seen.add(id);
      });
      await store.putItems(
        given.map(({ id, title, attributes }) => ({ id, title: title ?? null, attributes: attributes ?? {} })),
        Date.now(),
      );
      await models.refresh();
      return { items: given.length };
    },
  }),
  route({
    method: 'DELETE',
    url: '/v1/items/:id',
    role: 'write',
    operation: 'deleteItem',
    tag: 'items',
    summary: 'Delete an item',
    description: 'It is never recommended again, from the answer on, unless it is put again. Events on it stay.',
    params: Type.Object({ id: Id }),
    reply: Type.Object({ deleted: Type.Boolean() }),
    async handler({ params: { id }, context: { store, models } }) {
      if (!models.current.catalog.rows.has(id)) throw new Problem(404, 'unknown-id', 'no such item', 'id');
      await store.deleteItem(id, Date.now());
      await models.refresh();
      return { deleted: true };
    },
  }),
];
