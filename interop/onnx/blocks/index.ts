/** The blocks that can be written, by the name that `block` has in the settings. */
import type { OnnxBlock } from './block.ts';
import { onnxLigr } from './ligr.ts';
import { onnxTransformer } from './transformer.ts';

export const ONNX_BLOCKS: ReadonlyMap<string, OnnxBlock> = new Map([
  ['transformer', onnxTransformer],
  ['ligr', onnxLigr],
]);
