#!/usr/bin/env node
/** The command `attune`: flags and their help. What a command does loads when it runs, so that help is quick. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { messageLine } from '../data/visible.ts';
import { LEAVE_ONE_OUT, parseProtocol, PROTOCOLS } from '../data/splits/protocol.ts';
import type { InputError } from '../data/errors.ts';
import { recipes, settingsFor } from '../model/recipes/recipes.ts';
import { isRatingSplit, parseRatingSplit, RATING_SPLITS } from '../data/ratings/split.ts';
import { parseRange, type Range } from '../train/search/search.ts';
import { aboutOption, contextOption } from './flags/user-context.ts';
import { addPostProcessingOptions, CONDITION_HELP } from './flags/post-processing.ts';
import { addDecodeOptions, NEXT_FLAGS } from './flags/decoding.ts';
import { commandName, duration, interrupts, keyValue, number, versionOf, whole } from './common.ts';
import { reportError } from './errors.ts';
import { morePaths } from './input/paths.ts';
import { ratingHelp, settingsHelp } from './flags/settings-help.ts';

const name = commandName();
/** Whether errors are JSON objects, those of the command line itself included. */
const json = process.argv.includes('--json');

function deviceOption(): Option {
  return new Option('--device <name>', 'where to compute: WebGPU, the CPU (slow), or WebGPU if there is an adapter')
    .choices(['auto', 'webgpu', 'cpu'])
    .default('auto');
}

/** @param ratings whether splits of ratings are taken, too */
function protocolOption(ratings = false): Option {
  return new Option(
    '--protocol <name>',
    `what trains and what is predicted: ${[...PROTOCOLS, ...(ratings ? RATING_SPLITS : [])].join(', ')} (see below)`,
  ).argParser((text) => {
    try {
      return ratings && isRatingSplit(text) ? parseRatingSplit(text) : parseProtocol(text);
    } catch (error) {
      throw new InvalidArgumentError(`${(error as InputError).reason}.`);
    }
  });
}

const PROTOCOL_HELP = `
Protocols (NAME or NAME:key=value,...):
  leave-one-out   a user's last interaction is the test target, the one before it the validation target
  temporal        one cut in time for everybody, nothing of the future trains; valid=0.1 and test=0.1 are
                  shares of all interactions, targets=first or all, needs a time column
  ratio           the last share of each history is tested, all of it as one set; valid=0.1 test=0.2
  last-n          a user's last n interactions are tested, all of them as one set; the n before them are
                  the validation's, n=10; what evaluate --next asks for
  sampled-100     leave-one-out against 100 sampled items, as older papers have it; seed=1
  cold-items      some items are removed from every history and from training, and are ranked by their attributes
                  (--items) for each user who had any; share=0.2 of the catalogue, or --cold-items FILE;
                  valid=0.1 of the others are cold in the validation; seed=1`;

const LOG_FILES = '; may be repeated, or a pattern ("logs/*.csv"), for a log in several files';

/** Flags of every command that reads a log. */
function addLogOptions(command: Command): Command {
  return command
    .option('--max-bad-rows <n>', 'rows that cannot be read: skip as many, with a note', whole(0), 0)
    .option('--user-column <name>', 'column of the user (default: found by its usual names)')
    .option('--item-column <name>', 'column of the item (default: found by its usual names)')
    .option('--time-column <name>', 'column of the time, or of the order (default: found by its usual names)')
    .option('--rating-column <name>', 'column of the rating (default: found by its usual names)')
    .option('--columns <names>', 'all columns of a file without a header, as user,item,rating,timestamp');
}

function vectorsOption(): Option {
  return new Option(
    '--vectors <file>',
    'ready-made vectors of the items (items=tower, or ratings): .safetensors, .npy or .parquet; may be repeated',
  ).argParser((file: string, previous?: string[]) => [...(previous ?? []), file]);
}

/** Collects `--range key=low..high`. */
function keyRange(text: string, previous: ReadonlyMap<string, Range>): Map<string, Range> {
  try {
    return new Map([...previous, parseRange(text)]);
  } catch (error) {
    throw new InvalidArgumentError(`${(error as InputError).reason}.`);
  }
}

/** Names of the flags that were typed, not defaulted. */
function typed(command: Command): Set<string> {
  const names = command.options.map((option) => option.attributeName());
  return new Set(names.filter((option) => command.getOptionValueSource(option) === 'cli'));
}

const program = new Command('attune')
  .description('Trains and serves a transformer recommender from an interaction log.')
  .version(versionOf(), '--version', 'print the version')
  .helpOption('-h, --help', 'print this help')
  .configureOutput({
    outputError: (text, write) => {
      if (!json) write(`attune: ${messageLine(text.replace(/^error: /, ''))}\n`);
    },
  })
  .exitOverride();

function add(command: string, summary: string, details: string, example: string): Command {
  return program
    .command(command)
    .description(`${summary}.\n\n${details}`)
    .summary(summary)
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', `\nExample:\n  ${name} ${example}`);
}

const base = settingsFor('sasrec');
const settings = [...recipes.values()].map(
  (recipe) =>
    `  ${recipe.name}: ${recipe.summary}\n    ${Object.entries(recipe.settings)
      .filter(([key, value]) => recipe.name === 'sasrec' || value !== base[key as keyof typeof base])
      .map(([key, value]) => `${key}=${value}`)
      .join(' ')
      .replace(/(.{1,100})(?: |$)/g, '$1\n    ')
      .trim()}`,
);

addLogOptions(
  add(
    'train',
    'Train a model on an interaction log',
    'The log: CSV, TSV and their like with a header, or without one (--columns),\n' +
      'RecBole atomic files, MovieLens :: files, JSON lines, lines of "user item" or\n' +
      '"user item item ...", each gzip-compressed or not, or Parquet. The last\n' +
      'interaction of each user is kept for the test, the one before it for\n' +
      'validation. Without --epochs and --max-minutes, early stopping on validation\n' +
      'NDCG@10 decides.',
    'train --data ratings.csv --items movies.csv --out my-model --max-minutes 30',
  )
    .option('--data <path>', `the log (with --resume: the one it was begun with, unless given)${LOG_FILES}`, morePaths)
    .requiredOption('--out <dir>', 'folder of the model')
    .option('--items <path>', 'titles and attributes of the items: CSV or TSV with a header, Parquet, or movies.dat')
    .option(
      '--schema <file>',
      'JSON that says what columns of --items are, where that is not inferred (items=tower, or ratings)',
    )
    .addOption(vectorsOption())
    .option(
      '--users <path>',
      'columns of the users, read beside the items: CSV or TSV with a header, Parquet, or users.dat',
    )
    .option('--users-schema <file>', 'JSON that says what columns of --users are, where that is not inferred')
    .option(
      '--events <names>',
      'read how events were: rating, gap, hour, weekday and columns of the log, as rating,device',
    )
    .option('--cold-items <file>', 'IDs of the cold items, one a line, for --protocol cold-items (default: drawn)')
    .option('--recipe <name>', 'what to train: see attune recipes (default: chosen by the size of the log, and said)')
    .addOption(
      new Option('--task <name>', 'what to learn: the next item, ratings, or whether a rating is positive')
        .choices(['next', 'rating', 'ctr'])
        .default('next'),
    )
    .addOption(protocolOption(true).default(LEAVE_ONE_OUT, `${LEAVE_ONE_OUT.name}, or folds for ratings`))
    .option('--folds <k>', 'with ratings: as many folds of cross-validation (default: 5)', whole(2))
    .option(
      '--positive <r>',
      'with --task ctr: the least rating that is positive (default: 4; 1 where all are 0 or 1)',
      number(),
    )
    .option('--epochs <n>', 'stop after as many epochs in all', whole(1))
    .option('--max-minutes <m>', 'stop in time to have everything saved after as many minutes', number(0))
    .option('--min-interactions <n>', 'filter users and items until each has as many interactions', whole(1), 5)
    .option('--min-rating <r>', 'count only rows rated at least so (default: every row counts)', number()),
)
  .addOption(
    new Option('--set <key=value>', 'change a setting of the recipe; may be repeated')
      .argParser(keyValue)
      .default(new Map<string, string>(), 'none'),
  )
  .option('--seed <n>', 'one seed, one result on one device', whole(0), 1)
  .addOption(deviceOption())
  .option('--include-seen', 'validation ranks items that the user had before, too')
  .option(
    '--ranker',
    'train a second stage, too (as --set ranker=on); with --resume: that alone, the model stays as it is',
  )
  .option('--resume', 'go on with the training in --out; the limits are those of this command')
  .option('--overwrite', 'replace the model in --out')
  .option('--progress', 'show progress on standard error even if it is no terminal')
  .option('--json', 'print one JSON object')
  .addHelpText('after', PROTOCOL_HELP)
  .addHelpText(
    'after',
    `\nRecipes and their settings for --set (where they are not those of sasrec):\n${settings.join('\n')}\n\n${settingsHelp}\n\nprecision=mixed lets the matrix products of training take their operands in f16 and add in f32, through subgroup\nmatrices where the adapter has them: for GPUs, on adapters with shader-f16 (attune doctor). The model stays f32.`,
  )
  .addHelpText('after', ratingHelp)
  .action(async (flags, command: Command) => {
    const { holdsRatings } = await import('./input/ratings.ts');
    if (flags.task !== 'next' || (flags.resume && (await holdsRatings(flags.out)))) {
      await (await import('./commands/train-ratings.ts')).runTrainRatings(flags, typed(command));
    } else {
      const { requireRanking, runTrain } = await import('./commands/train.ts');
      requireRanking(flags);
      await runTrain(flags, typed(command));
    }
  });

addPostProcessingOptions(
  addDecodeOptions(
    addLogOptions(
      add(
        'evaluate',
        'Rank held-out items by a model and by simple baselines',
        "Each user's held-out item is ranked among all items, under the protocol that the\n" +
          'model was trained with; another one is refused where its targets stood in the\n' +
          "training. The log is filtered as that of the model's training was. --dump writes a\n" +
          'line a user, {"user","target","rank","items":[100 IDs, best first],"scores"};\n' +
          'rank is null where the target was excluded as seen, which counts as a miss.\n' +
          'Protocols with several targets write "targets" and "ranks".\n' +
          'With --where, --allow, --deny, --diversity, --cap or --popularity-penalty a table\n' +
          'shows what each costs in NDCG and gains in coverage, and all of them together.\n' +
          'For a model of ratings (--task rating or ctr) the out-of-fold predictions of its\n' +
          'training are reported, and --dump writes a line a tested rating; --data may be left\n' +
          'out where the log is where it was.',
        'evaluate --model my-model --data ratings.csv --dump ranks.jsonl',
      )
        .requiredOption('--model <path>', 'folder of the model, or one packed file (attune pack)')
        .option('--data <path>', `the log${LOG_FILES}`, morePaths)
        .addOption(
          new Option('--predict <point>', 'with ratings: what stands for the predicted distribution')
            .choices(['mean', 'median'])
            .default(undefined, 'mean, which is best for RMSE; median, best for MAE, where the split is last'),
        )
        .option('--users <path>', 'columns of the users, for models that read them')
        .addOption(
          new Option('--split <name>', "the target: each user's last interaction (test) or the one before it (valid)")
            .choices(['valid', 'test'])
            .default('test'),
        )
        .addOption(protocolOption().default(undefined, "the model's own"))
        .option('--include-seen', 'rank items that the user had before, too (default: they are excluded)')
        .option('--no-baselines', 'leave out popularity, Markov chains, EASE and their blend')
        .option('--dump <file.jsonl>', 'write the ranks and the 100 best items of every user')
        .option('--next <n>', "instead: continue histories by n items, compare with users' next n events", whole(1))
        .option('--beside <path>', 'with --next: another model on the same users'),
    ),
  ),
)
  .addOption(deviceOption())
  .option('--progress', 'show progress on standard error even if it is no terminal')
  .option('--json', 'print one JSON object')
  .addHelpText('after', PROTOCOL_HELP)
  .addHelpText('after', CONDITION_HELP)
  .action(async (flags, command: Command) => {
    if (await (await import('./input/ratings.ts')).holdsRatings(flags.model)) {
      return (await import('./commands/evaluate-ratings.ts')).runEvaluateRatings(flags, typed(command));
    }
    if (flags.next !== undefined) return (await import('./output/next-events.ts')).runNext(flags);
    const idle = [...typed(command)].find((flag) => NEXT_FLAGS.has(flag));
    if (idle) command.error(`error: --${idle.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)} goes with --next`);
    await (await import('./commands/evaluate.ts')).runEvaluate(flags);
  });

addLogOptions(
  add(
    'compare',
    'Compare two recommenders on the same users, with a paired test',
    'A and B are model folders, or one of them a baseline by name: popularity, markov,\n' +
      'windowed-markov, ease, blend. Both rank the same targets among the same\n' +
      'candidates; models of different catalogues, filters, protocols or seen settings\n' +
      'are refused. The difference B - A comes with a bootstrap interval and the p-value of a\n' +
      'paired randomisation test.',
    'compare my-model other-model --data ratings.csv',
  )
    .argument('<A>', 'model, packed or not, or baseline')
    .argument('<B>', 'model, packed or not, or baseline')
    .requiredOption('--data <path>', `the log${LOG_FILES}`, morePaths)
    .option('--users <path>', 'columns of the users, for models that read them')
    .addOption(
      new Option('--split <name>', 'the targets: those of the test or of the validation')
        .choices(['valid', 'test'])
        .default('test'),
    )
    .addOption(protocolOption().default(undefined, "the models' own"))
    .option('--include-seen', 'rank items that the user had before, too (default: as the models were validated)')
    .option('--seed <n>', 'of the resampling', whole(0), 1),
)
  .addOption(deviceOption())
  .option('--progress', 'show progress on standard error even if it is no terminal')
  .option('--json', 'print one JSON object')
  .addHelpText('after', PROTOCOL_HELP)
  .action(async (a, b, flags) => (await import('./commands/compare.ts')).runCompare([a, b], flags));

addLogOptions(
  add(
    'search',
    'Try settings of a recipe, and say which are best',
    'Random search with successive halving: many settings train for a few epochs, the\n' +
      'best third goes on for three times as long, and so on; then others begin. Each trial\n' +
      'is a model folder in --out. The same command goes on where it was stopped; a larger\n' +
      '--budget goes on with a search that has ended. Settings given by --set stay fixed.',
    'search --data ratings.csv --out my-search --budget 2h',
  )
    .requiredOption('--data <path>', `the log${LOG_FILES}`, morePaths)
    .requiredOption('--out <dir>', 'folder of the search')
    .requiredOption('--budget <time>', 'how long in all, over all its parts, as 2h, 90m or 300s', duration)
    .option('--items <path>', 'titles and attributes of the items')
    .option('--recipe <name>', 'what to train', 'sasrec')
    .addOption(protocolOption().default(LEAVE_ONE_OUT, LEAVE_ONE_OUT.name))
    .option('--trials <n>', 'settings that a round of halving begins with', whole(1), 9)
    .option('--epochs <n>', 'epochs that each of them trains for at first', whole(1), 2)
    .option('--min-interactions <n>', 'filter users and items until each has as many interactions', whole(1), 5)
    .option('--min-rating <r>', 'count only rows rated at least so (default: every row counts)', number()),
)
  .addOption(
    new Option('--set <key=value>', 'fix a setting of the recipe; may be repeated')
      .argParser(keyValue)
      .default(new Map<string, string>(), 'none'),
  )
  .addOption(
    new Option('--range <key=range>', 'search a setting over low..high or value,value,...; may be repeated')
      .argParser(keyRange)
      .default(new Map<string, Range>(), 'those of the recipe'),
  )
  .option('--seed <n>', 'one seed, one search', whole(0), 1)
  .addOption(deviceOption())
  .option('--include-seen', 'validation ranks items that the user had before, too')
  .option('--progress', 'show progress on standard error even if it is no terminal')
  .option('--json', 'print one JSON object')
  .addHelpText('after', PROTOCOL_HELP)
  .action(async (flags) => (await import('./commands/search.ts')).runSearch(flags));

addPostProcessingOptions(
  addLogOptions(
    add(
      'recommend',
      'Recommend the next items for a history',
      'The history is a list of item IDs (of anyone, also someone never seen), or that\nof a user of a log. --new serves somebody of whom no event is known. A model of\n' +
        'ratings (--task rating or ctr) takes --history ID=RATING,... and lists the highest\npredicted ratings, or with --items those of the items named.',
      'recommend --model my-model --history 1193,661,914 --k 5',
    )
      .requiredOption('--model <path>', 'folder of the model, or one packed file (attune pack)')
      .option('--history <id,id,...>', 'item IDs, oldest first; an ID with a comma in double quotes')
      .option('--user <id>', 'the user of --data to recommend for')
      .option('--data <path>', `the log that --user is in${LOG_FILES}`, morePaths)
      .option('--users <path>', 'columns of the users, for --user and models that read them')
      .option('--new', 'for somebody of whom no event is known: what people alike like (--about), or what is popular')
      .addOption(aboutOption())
      .option('--items <id,id,...>', 'with a model of ratings: predict the ratings of these items')
      .addOption(contextOption())
      .option('--k <n>', 'how many, at most 128', whole(1), 10)
      .option('--exclude <ids>', 'no items with these IDs this time: ID,ID,... or @FILE with an ID a line')
      .option('--include-seen', 'recommend items of the history, too (default: they are excluded)'),
  ),
)
  .addOption(deviceOption())
  .option('--json', 'print one JSON object')
  .addOption(
    new Option('--explain [method]', 'say what carried each: leaving out each event, or where attention looked')
      .choices(['occlusion', 'rollout'])
      .preset('occlusion'),
  )
  .option('--heatmap <file.svg>', 'draw where attention looked in the history: its roll-out over all blocks')
  .option('--block <n>', 'draw this block of the model, the mean of its heads', whole(1))
  .option('--head <n>', 'draw this head of --block', whole(1))
  .addHelpText('after', CONDITION_HELP)
  .action(async (flags, command: Command) => {
    if (await (await import('./input/ratings.ts')).holdsRatings(flags.model)) {
      await (await import('./commands/recommend-ratings.ts')).runRecommendRatings(flags, typed(command));
    } else await (await import('./commands/recommend.ts')).runRecommend(flags);
  });

addDecodeOptions(
  addLogOptions(
    add(
      'generate',
      'Continue a history by several items, one after another',
      'Each item is predicted from the history and the items before it; none comes twice,\n' +
        'and none of the history. A recipe with a decoder (encoder-decoder) continues by as\n' +
        'many items as it was trained for (10), an encoder alone by repeating itself, up to\n' +
        'its window. The memory joins each step where recommend blends it in, too.',
      'generate --model my-model --history 1193,661,914 --steps 5 --decode beam',
    )
      .requiredOption('--model <path>', 'folder of the model, or one packed file (attune pack)')
      .option('--history <id,id,...>', 'item IDs, oldest first; an ID with a comma in double quotes')
      .option('--user <id>', 'the user of --data whose history is continued')
      .option('--data <path>', `the log that --user is in${LOG_FILES}`, morePaths)
      .option('--users <path>', 'columns of the users, for --user and models that read them')
      .addOption(aboutOption())
      .option('--steps <n>', 'how many items', whole(1), 10)
      .option('--exclude <id,id,...>', 'item IDs never to continue with')
      .option('--include-seen', 'items of the history may come, too (default: they are excluded)'),
  ),
)
  .addOption(deviceOption())
  .option('--json', 'print one JSON object')
  .action(async (flags) => (await import('./commands/generate.ts')).runGenerate(flags));

addLogOptions(
  add(
    'vectors',
    'Write item and user vectors for a vector database',
    'Writes items.npy (float32, a row an item), items.parquet (id, vector) and\n' +
      'items.ids.json (the IDs, row by row). With --data also users.npy, users.parquet and\n' +
      "users.ids.json: the encoder's state after each user's whole history. The product of\n" +
      "a user's and an item's vector is the transformer's score; a model's memory, where\n" +
      'there is one, is no product of vectors and not in them.',
    'vectors --model my-model --out vectors --data ratings.csv',
  )
    .requiredOption('--model <path>', 'folder of the model, or one packed file (attune pack)')
    .requiredOption('--out <dir>', 'folder of the vectors')
    .option('--data <path>', `a log: write vectors of its users, too${LOG_FILES}`, morePaths)
    .option('--users <path>', 'columns of the users, for models that read them')
    .option('--overwrite', 'replace vectors in --out'),
)
  .addOption(deviceOption())
  .option('--progress', 'show progress on standard error even if it is no terminal')
  .option('--json', 'print one JSON object')
  .action(async (flags) => (await import('./commands/vectors.ts')).runVectors(flags));

add(
  'items',
  'Add new items to a trained model, without training',
  'The model must read attributes (--set items=tower, or ratings with --items): what it\n' +
    'recommends new items by are these, read by the schema of its training. Items that it knows stay as\n' +
    'they are; values that it has never seen count as unknown, and are counted.',
  'items add --model my-model --items new.csv',
)
  .argument('<add>', 'what to do: add', (text: string) => {
    if (text !== 'add') throw new InvalidArgumentError('add is all that there is.');
    return text;
  })
  .requiredOption('--model <dir>', 'folder of the model')
  .requiredOption('--items <path>', 'the new items: CSV or TSV with a header, or movies.dat')
  .addOption(vectorsOption())
  .option('--json', 'print one JSON object')
  .action(async (_, flags) => (await import('./commands/items.ts')).runItemsAdd(flags));

add(
  'pack',
  'Put a model into one file',
  'The file NAME.attune holds the model folder: it opens wherever --model does, in a web page\n' +
    'and, being a ZIP, with any unzip. The checkpoint, which only a training that goes on\n' +
    'needs, is left out by default.',
  'pack --model my-model --out my-model.attune',
)
  .requiredOption('--model <dir>', 'the model')
  .requiredOption('--out <file.attune>', 'the file to write')
  .option('--checkpoint', 'take the checkpoint, too')
  .option('--overwrite', 'replace the file')
  .option('--json', 'print one JSON object')
  .action(async (flags) => (await import('./commands/pack.ts')).runPack(flags));

add(
  'unpack',
  'Turn a packed model into a folder',
  'The other way round than attune pack.',
  'unpack --model my-model.attune --out my-model',
)
  .requiredOption('--model <file.attune>', 'the packed model')
  .requiredOption('--out <dir>', 'the folder to write')
  .option('--overwrite', 'replace the model in that folder')
  .option('--json', 'print one JSON object')
  .action(async (flags) => (await import('./commands/pack.ts')).runUnpack(flags));

add(
  'recipes',
  'List what can be trained, what it costs and what it reaches',
  'A recipe is an architecture and how to train it, as in the paper that it names.\n--set key=value of attune train changes any of its settings.',
  'recipes --items 3416',
)
  .option('--items <n>', 'size of the catalogue, for the number of parameters', whole(1), 3416)
  .option('--json', 'print one JSON object')
  .action(async (flags) => (await import('./commands/recipes.ts')).runRecipes(flags));

add(
  'doctor',
  'Say what this machine computes with, and what is missing',
  'Prints the adapter, its features and limits, the kernel variants that run on it,\n' +
    'and for what is missing the command that mends it.',
  'doctor',
)
  .option('--json', 'print one JSON object')
  .action(async (flags) => (await import('./commands/doctor.ts')).runDoctor(flags));

add(
  'bench',
  'Measure this machine',
  'Case step: tokens a second and what a dispatch costs in a training step on the\n' +
    'demo shop. Case generate: what an item of a continuation costs, the tenth beside\n' +
    'the first. The others: a kernel each, against the CPU reference in the same run,\n' +
    'and as a share of the roofline: the time that its arithmetic or its memory traffic\n' +
    'takes at the rates of a multiply-add and a copy kernel, measured before and after.',
  'bench --case step --profile',
)
  .option('--case <name>', 'only the cases with this in their name (default: all)')
  .option('--profile', 'add to step: GPU time by kernel and its share of the roofline, where there are timestamps')
  .addOption(deviceOption())
  .option('--json', 'print one JSON object')
  .action(async (flags) => (await import('./commands/bench.ts')).runBench(flags));

add(
  'tune',
  'Find the fastest kernels for this adapter, once',
  'Times the variants and tile sizes of kernels at the shapes of a training step and\n' +
    'remembers the fastest in the cache folder ($XDG_CACHE_HOME or ~/.cache). Later\n' +
    'commands use them; ATTUNE_TUNE=off in the environment leaves them aside.',
  'tune',
)
  .option('--json', 'print one JSON object')
  .action(async (flags) => (await import('./commands/tune.ts')).runTune(flags));

addLogOptions(
  add(
    'explain',
    'Compare two ways of explaining a model, on a sample of users',
    "For each user the best recommendation is explained twice: by occlusion (each event\nis left out in turn: what the score hangs on, exactly) and by attention roll-out with\nthe memory's summands (one pass: where the model looked). Printed is how well they\nagree, beside two plain guesses. attune recommend --explain explains one list.",
    'explain --model my-model --data ratings.csv --sample 50',
  )
    .requiredOption('--model <path>', 'folder of the model, or one packed file (attune pack)')
    .requiredOption('--data <path>', `the log${LOG_FILES}`, morePaths)
    .option('--users <path>', 'columns of the users, for models that read them')
    .addOption(
      new Option('--split <name>', 'the histories: all but the last interaction (test) or all but two (valid)')
        .choices(['valid', 'test'])
        .default('test'),
    )
    .addOption(protocolOption().default(undefined, "the model's own"))
    .option('--include-seen', 'recommend items that the user had before, too (default: they are excluded)')
    .option('--sample <n>', 'users to draw', whole(1), 50)
    .option('--seed <n>', 'of the sample', whole(0), 1),
)
  .addOption(deviceOption())
  .option('--progress', 'show progress on standard error even if it is no terminal')
  .option('--json', 'print one JSON object')
  .addHelpText('after', PROTOCOL_HELP)
  .action(async (flags) => (await import('./commands/explain.ts')).runExplain(flags));

add(
  'demo',
  'Train on the built-in demo shop and recommend for three of its shoppers',
  'The model is saved in ./attune-demo, replacing that of an earlier demo.',
  'demo --minutes 1',
)
  .option('--minutes <m>', 'time to train', number(0), 2.1)
  .option('--seed <n>', 'another seed, another shop', whole(0), 1)
  .addOption(deviceOption())
  .option('--progress', 'show progress on standard error even if it is no terminal')
  .option('--json', 'print one JSON object')
  .action(async (flags) => (await import('./commands/demo.ts')).runDemo(flags));

// The reader of our output left, as in `attune recommend | head -3`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
});
// A training saves first; anything else just ends.
process.on('SIGINT', () => {
  if (!interrupts.handled) process.exit(130);
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = reportError(error, { json });
}
