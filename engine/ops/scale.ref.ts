export { scaleReference } from './shared/scale.ts';
