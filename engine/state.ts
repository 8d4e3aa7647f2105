/** Words of buffers that the host and kernels share; kernels/lib/state.wgsl and status.wgsl have the same names. */

/** Of `device.state`, u32 [16]: what varies between steps. The other words are free. */
export const STATE = {
  SEED: 0,
  STEP: 1,
  /** f32 bits */
  LEARNING_RATE: 2,
  /** Whether dropout is on. */
  DROPOUT: 5,
  /** Whether AdamW moves tables alone. */
  FROZEN: 6,
} as const;

/** Of an optimizer's status, u32 [TABLE + 2 rows]. */
export const STATUS = {
  /** The first step whose loss, gradient or learning rate was not finite, after which nothing changes; 0: none. */
  FAILED: 0,
  /** f32 bits: the gradient's norm, what clipping multiplies it by, and the loss. */
  NORM: 1,
  SCALE: 2,
  LOSS: 3,
  /** What was not finite: the sum of 1 the loss, 2 the gradient, 4 the learning rate. */
  CAUSE: 4,
  /** Steps taken. */
  STEP: 5,
  /** f32 bits: 1 − β₁ᵗ and 1 − β₂ᵗ of the last step. */
  CORRECTION1: 6,
  CORRECTION2: 7,
  /** Where the corrections of steps 1, 2, … begin, two words each. */
  TABLE: 16,
} as const;
