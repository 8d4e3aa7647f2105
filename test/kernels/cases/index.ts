/** The case table. Each op has its rows in a file of its group; this list is what the suites run. */
import { activationCases } from './activations.ts';
import { elementwiseCases } from './elementwise.ts';
import { embeddingCases } from './embedding.ts';
import { crossEntropyCases } from './cross-entropy.ts';
import { encoderCases } from './encoder.ts';
import { matmulCases } from './matmul.ts';
import { attentionCases } from './attention.ts';
import { crossAttentionCases } from './cross-attention.ts';
import { normCases } from './norm.ts';
import { lossCases } from './loss.ts';
import { shapeCases } from './shape.ts';
import { adamwCases } from './adamw.ts';
import { sgdCases } from './sgd.ts';
import { adamwRowCases } from './adamw-rows.ts';
import { mixtureCases } from './mixture.ts';
import { memoryCases } from './memory.ts';
import { topkCases } from './topk.ts';
import { codedCases } from './coded.ts';
import { packedCases } from './packed.ts';
import { sampledCases } from './sampled.ts';
import { sparseCases } from './sparse.ts';
import { cachedCases } from './cached.ts';
import { inferenceSizes } from './sizes/inference.ts';
import { layerSizes } from './sizes/layers.ts';
import { tensorSizes } from './sizes/tensors.ts';
import { productCases } from './products.ts';
import type { Case } from '../harness.ts';

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
  ...sgdCases,
  ...adamwRowCases,
  ...topkCases,
  ...codedCases,
  ...packedCases,
  ...sampledCases,
  ...mixtureCases,
  ...memoryCases,
  ...sparseCases,
  ...cachedCases,
  ...tensorSizes,
  ...layerSizes,
  ...inferenceSizes,
  ...productCases,
];
