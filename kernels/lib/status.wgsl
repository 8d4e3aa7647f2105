// Words of an optimizer's `status` (engine/state.ts).
const STATUS_FAILED = 0u; // the first step whose loss, gradient or learning rate was not finite; 0: none
const STATUS_NORM = 1u; // of the gradient, f32 bits
const STATUS_SCALE = 2u; // what clipping multiplies the gradient by, f32 bits
const STATUS_LOSS = 3u; // f32 bits
const STATUS_CAUSE = 4u; // what was not finite: the sum of 1 the loss, 2 the gradient, 4 the learning rate
const STATUS_STEP = 5u; // steps taken, this one included
const STATUS_CORRECTION1 = 6u; // 1 − β₁ᵗ and 1 − β₂ᵗ of this step, f32 bits
const STATUS_CORRECTION2 = 7u;
const STATUS_TABLE = 16u; // the corrections of steps 1, 2, …, two words each
