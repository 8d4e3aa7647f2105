import { binaryReferences } from './shared/binary.ts';

export const addReferences = binaryReferences({ f: (a, b) => a + b, da: () => 1, db: () => 1 });
