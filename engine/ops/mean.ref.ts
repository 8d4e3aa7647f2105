export { sumBackward as meanBackward, sumLastReference as meanReference } from './sum.ref.ts';
