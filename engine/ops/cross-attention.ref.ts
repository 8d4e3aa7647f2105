/** The loops of attention, which tell queries and keys apart. */
export { attentionReferences as crossAttentionReferences } from './attention.ref.ts';
