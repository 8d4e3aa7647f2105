// Words of `state`, the buffer of what varies between steps (engine/state.ts); the others are free.
const STATE_SEED = 0u;
const STATE_STEP = 1u;
const STATE_LEARNING_RATE = 2u; // f32 bits
const STATE_DROPOUT = 5u; // whether dropout is on
const STATE_FROZEN = 6u; // whether AdamW moves tables alone
