/** The side features that a training reads, inferred from users and from the log. */
import { InputError } from '../data/errors.ts';
import { inferSchema } from '../data/features/schema.ts';
import {
  inferEvents,
  SideFeatures,
  SideFeatureEncoder,
  type SideFeatureSchema,
} from '../data/features/side-features.ts';
import type { Split } from '../data/splits/split.ts';

/**
 * The split with side features of its users and events; as it is where none are read.
 * @param reads rating, gap, hour, weekday, or columns that the log was read with
 * @throws InputError where none of the users is in it, or it lacks what is read
 */
export function withSideFeatures(
  split: Split,
  users: ReadonlyMap<string, Readonly<Record<string, string>>> | undefined,
  reads: readonly string[],
  source: string,
): Split {
  const schema: SideFeatureSchema = {};
  if (users) {
    const rows = split.dataset.userIds.flatMap((id) => {
      const attributes = users.get(id);
      return attributes ? [{ id, title: '', attributes }] : [];
    });
    if (rows.length === 0) throw new InputError('mismatched-data', `${source}: none of the users is in the log`);
    schema.users = inferSchema(rows);
  }
  if (reads.length > 0) schema.events = inferEvents(split.dataset, reads, source);
  if (!schema.users && !schema.events) return split;
  return split.withSide(new SideFeatures(new SideFeatureEncoder(schema), split.dataset, users ?? null));
}
