/** The flags that say how a continuation is chosen, of `generate` and of `evaluate --next`. */
import { DECODES, GENERATE } from '../../model/inference/decoding.ts';
import { choiceFlag, type FlagsOf, on, withDefault } from './declare.ts';
import { integerFlag, numberFlag } from './values.ts';

export const decodeFlags = {
  decode: withDefault(
    choiceFlag('<name>', 'how each item is chosen: the likeliest, drawn at random, or by beam search', DECODES),
    GENERATE.decode,
  ),
  topK: withDefault(integerFlag('<n>', 'top-k: draw among the n likeliest, at most 128', 1), GENERATE.topK),
  topP: withDefault(
    numberFlag('<p>', 'nucleus: draw among the likeliest that together have this probability', { above: 0 }),
    GENERATE.topP,
  ),
  beams: withDefault(integerFlag('<n>', 'beam: continuations followed at once, at most 16', 1), GENERATE.beams),
  temperature: withDefault(
    numberFlag('<t>', 'divides the scores: below 1 the likeliest become even likelier', { above: 0 }),
    GENERATE.temperature,
  ),
  seed: withDefault(integerFlag('<n>', 'of the draws', 0), GENERATE.seed),
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
