export { matmulForward as tableScoresReference } from './matmul.ref.ts';
