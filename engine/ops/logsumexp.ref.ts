export { sumLastReference as logsumexpReference } from './shared/sums.ts';
