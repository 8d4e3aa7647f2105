import { binaryReferences } from './shared/binary.ts';

export const mulReferences = binaryReferences({ f: (a, b) => a * b, da: (_, b) => b, db: (a) => a });
