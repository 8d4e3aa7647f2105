/** The flags that say how a continuation is chosen, of `generate` and of `evaluate --next`. */
import { type Command, Option } from 'commander';
import { type Decode, DECODES, GENERATE } from '../../model/inference/decoding.ts';
import { number, whole } from '../common.ts';

export interface DecodeFlags {
  decode: Decode;
  topK: number;
  topP: number;
  beams: number;
  temperature: number;
  seed: number;
  repeats?: boolean;
}

/** Flags of evaluate that only --next reads. */
export const NEXT_FLAGS = new Set(['beside', 'decode', 'topK', 'topP', 'beams', 'temperature', 'seed', 'repeats']);

/** Flags that say how a continuation is chosen. */
export function addDecodeOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--decode <name>', 'how each item is chosen: the likeliest, drawn, or several paths at once')
        .choices(DECODES)
        .default(GENERATE.decode),
    )
    .option('--top-k <n>', 'top-k: draw among the n likeliest, at most 128', whole(1), GENERATE.topK)
    .option(
      '--top-p <p>',
      'nucleus: draw among the likeliest that have this probability together',
      number(0),
      GENERATE.topP,
    )
    .option('--beams <n>', 'beam: continuations followed at once, at most 16', whole(1), GENERATE.beams)
    .option(
      '--temperature <t>',
      'divides the scores: below 1 the likeliest become likelier yet',
      number(0),
      GENERATE.temperature,
    )
    .option('--seed <n>', 'of the draws', whole(0), GENERATE.seed)
    .option('--repeats', 'an item may come several times in a continuation');
}

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
