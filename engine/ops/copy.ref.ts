export { blockReference as copyReference } from './shared/block.ts';
