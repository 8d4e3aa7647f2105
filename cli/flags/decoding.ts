/** The flags that say how a continuation is chosen, of `generate` and of `evaluate --next`. */
import { DECODES, GENERATE } from '../../model/inference/decoding.ts';
import { choice, type FlagsOf, on, withDefault } from './declare.ts';
import { integer, number } from './values.ts';

export const decodeFlags = {
  decode: withDefault(
    choice('<name>', 'how each item is chosen: the likeliest, drawn at random, or by beam search', DECODES),
    GENERATE.decode,
  ),
  topK: withDefault(integer('<n>', 'top-k: draw among the n likeliest, at most 128', 1), GENERATE.topK),
  topP: withDefault(
    number('<p>', 'nucleus: draw among the likeliest that together have this probability', { above: 0 }),
    GENERATE.topP,
  ),
  beams: withDefault(integer('<n>', 'beam: continuations followed at once, at most 16', 1), GENERATE.beams),
  temperature: withDefault(
    number('<t>', 'divides the scores: below 1 the likeliest become even likelier', { above: 0 }),
    GENERATE.temperature,
  ),
  seed: withDefault(integer('<n>', 'of the draws', 0), GENERATE.seed),
  repeats: on('an item may occur several times in a continuation'),
};

export type DecodeFlags = FlagsOf<typeof decodeFlags>;

/** What the flags say of decoding, and nothing else. */
export const decodeOptions = ({ decode, topK, topP, beams, temperature, seed, repeats = false }: DecodeFlags) => ({
  decode,
  topK,
  topP,
  beams,
  temperature,
  seed,
  repeats,
});
