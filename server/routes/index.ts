/** All routes: a route is a declaration in a file of this folder, and a line here. */
import type { Route } from '../http/route.ts';
import { continuations } from './continuations.ts';
import { events } from './events.ts';
import { health } from './health.ts';
import { items } from './items.ts';
import { latest } from './latest.ts';
import { metrics } from './metrics.ts';
import { models } from './models.ts';
import { popular } from './popular.ts';
import { ratings } from './ratings.ts';
import { recommendations } from './recommendations.ts';
import { similar } from './similar.ts';
import { status } from './status.ts';
import { users } from './users.ts';

export const ROUTES: readonly Route[] = [
  events,
  items,
  users,
  recommendations,
  similar,
  popular,
  latest,
  ratings,
  continuations,
  models,
  health,
  status,
  metrics,
].flat();
