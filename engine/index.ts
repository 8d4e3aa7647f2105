/** The tensor engine: devices, tensors, autograd, record and replay, and the ops. */
export { into, gradOf } from './autograd.ts';
export { Device, type DeviceOptions, type DeviceStats, type Reference } from './device.ts';
export { getGpu, isNode } from './gpu.ts';
export { type Capabilities, groups, type Kernel, kernel, kernelText, type Params, type Variant } from './kernel.ts';
export { type KernelTime, Program } from './program.ts';
export { type DType, type NumericArray, type Shape, showShape, sizeOf, Tensor } from './tensor.ts';
export { fill } from './ops/fill.ts';
export { gelu } from './ops/gelu.ts';
export { normal, permutation, threefry2x32, toUniform, uniform } from './random.ts';
export { dropout } from './ops/dropout.ts';
export { type Activation, gemm, type Gemm, matmul, type MatmulOptions } from './ops/matmul.ts';
export { crossEntropy, type CrossEntropyOptions } from './ops/cross-entropy.ts';
