export { blockReference as concatReference } from './shared/block.ts';
