/** Whether everything runs (`npm run test:full`), or a seeded sample of what is many, and each loop a few times. */
export const FULL = typeof process !== 'undefined' && process.env?.ATTUNE_FULL === '1';
