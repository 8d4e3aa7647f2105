export { mapReference as permuteReference } from './shared/strided.ts';
