/** The tensor engine: devices, tensors, autograd, record and replay, and the ops. */
export { type BackwardOptions, into, gradOf } from './autograd.ts';
export { type CheckInput, type CheckOptions, checkOp } from './custom/check-op.ts';
export { type CustomKernel, customKernel, type KernelSpec } from './custom/kernel.ts';
export { customOp, type CustomOpSpec, type Pass, sameShape } from './custom/op.ts';
export { Device } from './device.ts';
export type { DeviceOptions, DeviceStats, Precision } from './device-options.ts';
export type { Reference } from './reference.ts';
export { getGpu, isNode } from './webgpu/adapter.ts';
export { type Capabilities, groups, type Kernel, kernel, kernelText, type Params, type Variant } from './kernel.ts';
export type { KernelTime, ProfileOptions } from './program/profile.ts';
export { Program } from './program/program.ts';
export { STATE, STATUS } from './state.ts';
export type { HostValues } from './values.ts';
export { type DType, type NumericArray, type Shape, showShape, sizeOf, Tensor } from './tensor.ts';
export { fill } from './ops/fill.ts';
export { normal, permutation, threefry2x32, toUniform, uniform } from './random/random.ts';
export { dropout } from './ops/dropout.ts';
export { matmul, type MatmulOptions } from './ops/matmul.ts';
export { type Activation, gemm, type Gemm } from './ops/shared/gemm.ts';
export { crossEntropy, type CrossEntropyOptions } from './ops/cross-entropy.ts';
export { embedding, embeddingSum, type RowGroups } from './ops/embedding.ts';
export { groupRows, MAX_BUDGET, type RowGroupArrays, type RowGroupLayout, rowGroupLayout } from './rows.ts';
export { type AttentionOptions, attention, type Bounds } from './ops/attention.ts';
export { crossAttention, type CrossAttentionOptions, type CrossBounds, crossBounds } from './ops/cross-attention.ts';
export { biasWidth, relativeAttention, type RelativeAttentionOptions } from './ops/relative-attention.ts';
export { AttentionWeights, type AttentionWeightsOptions } from './attention-weights.ts';
export { rotary, rotaryAngles, type RotaryParts } from './ops/rotary.ts';
export { swiglu } from './ops/swiglu.ts';
export { gatedRecurrence } from './ops/gated-recurrence.ts';
export { Inputs, type InputSpec } from './inputs.ts';
export {
  add,
  div,
  equal,
  greater,
  greaterEqual,
  less,
  lessEqual,
  maximum,
  minimum,
  mul,
  notEqual,
  pow,
  sub,
} from './ops/binary.ts';
export {
  abs,
  acos,
  acosh,
  asin,
  asinh,
  atan,
  atanh,
  ceil,
  clamp,
  cos,
  cosh,
  elu,
  erf,
  exp,
  floor,
  gelu,
  geluErf,
  hardSigmoid,
  leakyRelu,
  log,
  logicalNot,
  mish,
  neg,
  reciprocal,
  relu,
  round,
  sigmoid,
  sign,
  silu,
  sin,
  sinh,
  softplus,
  softsign,
  sqrt,
  tan,
  tanh,
} from './ops/unary.ts';
export { where } from './ops/where.ts';
export { scale } from './ops/scale.ts';
export type { Over } from './ops/shared/reduce.ts';
export { type ReduceOptions, sum } from './ops/sum.ts';
export { logsumexp } from './ops/logsumexp.ts';
export { prod } from './ops/prod.ts';
export { mean } from './ops/mean.ts';
export { argmax, argmin, max, min } from './ops/max.ts';
export { addLayernorm, layernorm } from './ops/layernorm.ts';
export { rmsnorm } from './ops/rmsnorm.ts';
export { logSoftmax, softmax } from './ops/softmax.ts';
export { bceWithLogits } from './ops/bce-with-logits.ts';
export { copy } from './ops/copy.ts';
export { slice } from './ops/slice.ts';
export { concat } from './ops/concat.ts';
export { transpose } from './ops/transpose.ts';
export { gather, scatterAdd } from './ops/gather.ts';
export { expand, permute } from './ops/permute.ts';
export { type AdamwOptions, adamwStatus, adamwStep } from './ops/adamw.ts';
export { type SgdOptions, sgdStep } from './ops/sgd.ts';
export type { ParameterShard, StepOptions, Trained } from './ops/shared/step.ts';
export { AdamW, type AdamWOptions } from './optimizers/adamw.ts';
export { SGD, type SGDOptions } from './optimizers/sgd.ts';
export { schedule, type ScheduleOptions } from './optimizers/schedule.ts';
export {
  LOSS_RING,
  Optimizer,
  type OptimizerOptions,
  type ParameterTree,
  type PreparedStep,
} from './optimizers/optimizer.ts';
export {
  adamwRows,
  catchUpAll,
  catchUpRows,
  currentRows,
  noteStep,
  ROW_RING,
  type RowOptions,
  type RowState,
} from './ops/adamw-rows.ts';
export { CodedRows } from './parameters/coded-rows.ts';
export { type RowOptimizer, type RowProgress, RowTable } from './parameters/row-table.ts';
export { adagradRows } from './ops/adagrad-rows.ts';
export { ParameterArena, type ParameterKind, type ParameterSpec } from './parameters/arena.ts';
export { MAX_K, maskSeen, rankOf, topk } from './ops/topk.ts';
export { rankTiles } from './ops/rank-tiles.ts';
export {
  blocksOf,
  isCompressed,
  CodedTable,
  PackedTable,
  rowRanges,
  SHARD_ROWS,
  ShardedTable,
  shardsOf,
  type Table,
  type TableShard,
} from './table.ts';
export {
  CODES,
  type ItemCodes,
  type PackedRows,
  packRows,
  TABLE_FORMATS,
  type TableFormat,
  unpackRows,
  widenCodes,
} from './packed.ts';
export { packedNorms } from './ops/packed-norms.ts';
export { codedRows } from './ops/coded-rows.ts';
export { codedScores } from './ops/coded-scores.ts';
export { tableRows } from './ops/packed-rows.ts';
export { packedScores } from './ops/packed-scores.ts';
export { logBlend, type RowLists, rowMoments, type SparseShard, sparseScores } from './ops/sparse-scores.ts';
export { invertSpd, multiply, Panels, type Pause, solveSpd } from './spd.ts';
export { tableScores } from './ops/table-scores.ts';
export { rowDot } from './ops/row-dot.ts';
export { type Mixture, mixtureBlocks, mixtureColumns, mixtureOfLogits } from './ops/mixture-of-logits.ts';
export { normalize, normalizeTable } from './ops/normalize.ts';
export { sampledLoss, type SampledLossOptions } from './ops/sampled-loss.ts';
export {
  adapterKey,
  collectShapes,
  formatChoices,
  parseChoices,
  storeName,
  type TuneRow,
  type TuningStore,
  tune,
} from './tuning/tuner.ts';
export { browserTuning, OpfsTuningStore } from './tuning/opfs.ts';
export { matrixConfigs } from './webgpu/adapter.ts';
export type { Choices } from './webgpu/variant-choice.ts';
export {
  type Sparse,
  SparseMatrix,
  type SparseHost,
  sparseMatmul,
  type SparseTensors,
  transposeSparse,
} from './ops/sparse-matmul.ts';
export { type CachedKeys, cachedAttention, storeRows } from './ops/cached-attention.ts';
