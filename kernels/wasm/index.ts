/** The kernels of the WebAssembly device: one module, written in AssemblyScript, SIMD throughout. */
export { matmul } from './matmul';
export { attention } from './attention';
export { binary, fill, scale, swiglu, unary } from './elementwise';
export { packedNorms, packedRows, packedScores } from './packed';
export { block, embedding, gather, layernorm } from './rows';
export { logBlend, maskSeen, rankOf, rowMoments, sparseScores, topk } from './scores';
