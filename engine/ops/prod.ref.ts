export { concatReference as prodReference } from './concat.ref.ts';
