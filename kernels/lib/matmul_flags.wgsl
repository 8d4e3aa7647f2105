// Bits of FLAGS: what a product does beyond C = act(op(A) · op(B)) (engine/ops/matmul.ref.ts).
const FLAG_BIAS = 1u;
const FLAG_ADD = 2u; // C += instead of C =
const FLAG_Z = 4u; // Z receives the value before the activation
const FLAG_COLUMN_SUMS = 8u; // db receives (+=) the column sums of op(B)
const FLAG_SLOPE = 16u; // times act'(Z) instead of act
const FLAG_RESIDUAL = 32u;
const FLAG_DROPOUT = 64u;
