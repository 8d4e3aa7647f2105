/** All routes: a route is a declaration in a file of this folder, and a line here. */
import type { Route } from '../http/route.ts';
import { events } from './events.ts';
import { health } from './health.ts';
import { recommendations } from './recommendations.ts';

export const ROUTES: readonly Route[] = [events, recommendations, health].flat();
