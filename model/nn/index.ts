/** Modules: each declares its parameters beside its forward pass. */
export { CrossAttention, MultiHeadAttention } from './attention.ts';
export { Embedding } from './embedding.ts';
export { FeedForward } from './feed-forward.ts';
export { LayerNorm, type Norm, RmsNorm, type Stream } from './layer-norm.ts';
export { Linear } from './linear.ts';
export { type Parameter, ParameterBuilder } from './parameters.ts';
