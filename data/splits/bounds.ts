/**
 * Where the parts of each user's history lie, as numbers of events from the oldest on: the first `train` events train; the
 * events [validFrom, validTo) are validation targets, [testFrom, testTo) test targets, predicted from all events before
 * the first of them. Empty where a user has none.
 */
export interface SplitBounds {
  /** [users] each */
  train: Uint32Array;
  validFrom: Uint32Array;
  validTo: Uint32Array;
  testFrom: Uint32Array;
  testTo: Uint32Array;
}

/** Bounds of all zeros, to be filled in. */
export function emptyBounds(users: number): SplitBounds {
  const zeros = () => new Uint32Array(users);
  return { train: zeros(), validFrom: zeros(), validTo: zeros(), testFrom: zeros(), testTo: zeros() };
}
