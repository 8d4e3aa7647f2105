/**
 * WebGPU's types by their own names, taken from whatever declares them where this is compiled. Published declarations may
 * not name the globals: TypeScript 5 has none, 7 has its own, and `@webgpu/types` beside these is an error. Where nothing
 * declares them they are `unknown`.
 */
type Declared<Name extends string> = typeof globalThis extends Record<Name, { prototype: infer T }> ? T : unknown;

export type GPU = Declared<'GPU'>;
export type GPUAdapterInfo = Declared<'GPUAdapterInfo'>;
export type GPUBindGroup = Declared<'GPUBindGroup'>;
export type GPUBuffer = Declared<'GPUBuffer'>;
export type GPUCommandBuffer = Declared<'GPUCommandBuffer'>;
export type GPUComputePipeline = Declared<'GPUComputePipeline'>;
export type GPUDevice = Declared<'GPUDevice'>;
