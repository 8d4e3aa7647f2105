export { blockReference as sliceReference } from './shared/block.ts';
