/** The case table. Each op has its rows in a file of its group; this list is what the suites run. */
import { activationCases } from './cases-activations.ts';
import { elementwiseCases } from './cases-elementwise.ts';
import { embeddingCases } from './cases-embedding.ts';
import { crossEntropyCases } from './cases-cross-entropy.ts';
import { encoderCases } from './cases-encoder.ts';
import { matmulCases } from './cases-matmul.ts';
import { attentionCases } from './cases-attention.ts';
import { crossAttentionCases } from './cases-cross-attention.ts';
import { normCases } from './cases-norm.ts';
import { lossCases } from './cases-loss.ts';
import { shapeCases } from './cases-shape.ts';
import { adamwCases } from './cases-adamw.ts';
import { mixtureCases } from './cases-mixture.ts';
import { memoryCases } from './cases-memory.ts';
import { topkCases } from './cases-topk.ts';
import { sampledCases } from './cases-sampled.ts';
import { sparseCases } from './cases-sparse.ts';
import { cachedCases } from './cases-cached.ts';
import { sizeCases } from './cases-sizes.ts';
import { productCases } from './cases-products.ts';
import type { Case } from './harness.ts';

export const cases: Case[] = [
  ...activationCases,
  ...matmulCases,
  ...crossEntropyCases,
  ...elementwiseCases,
  ...attentionCases,
  ...crossAttentionCases,
  ...encoderCases,
  ...embeddingCases,
  ...normCases,
  ...lossCases,
  ...shapeCases,
  ...adamwCases,
  ...topkCases,
  ...sampledCases,
  ...mixtureCases,
  ...memoryCases,
  ...sparseCases,
  ...cachedCases,
  ...sizeCases,
  ...productCases,
];
