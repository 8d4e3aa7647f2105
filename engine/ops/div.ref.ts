import { binaryReferences } from './shared/binary.ts';

export const divReferences = binaryReferences({ f: (a, b) => a / b, da: (_, b) => 1 / b, db: (a, b) => -a / (b * b) });
