/** Flags that several commands have. */
import {
  LEAVE_ONE_OUT,
  type Protocol,
  parseProtocol,
  PROTOCOLS,
  REQUEST_TIMES,
  type RequestTime,
} from '../../data/splits/protocol.ts';
import { isRatingSplit, parseRatingSplit, RATING_SPLITS, type RatingSplit } from '../../data/ratings/split.ts';
import { joinQuery, morePaths } from '../input/paths.ts';
import { choiceFlag, type Flag, on, parsed, required, text, withDefault, withoutDefault } from './declare.ts';
import { integerFlag, keyValue, list } from './values.ts';

export const device = withDefault(
  choiceFlag(
    '<name>',
    'where to compute: WebGPU, one thread of WebAssembly (for lists and small models), the CPU (references, slow), or what suits',
    ['auto', 'webgpu', 'wasm', 'cpu'],
  ),
  'auto',
);
export const json = on('print one JSON object; an error is one, too, on standard error');
export const progress = on('show progress on standard error even if it is not a terminal');
/** Where a command computes, and what it shows. */
export const runFlags = { device, progress, json };
export const queue = (help: string): Flag<string | undefined> =>
  text('<address>', `${help}: redis://HOST:PORT, or rediss:// (see attune worker)`);
export const overwrite = (what: string): Flag<boolean | undefined> => on(`replace ${what}`);

export const model = required(text('<path>', 'folder of the model, or one packed file (attune pack)'));
export const users = text('<path>', 'columns of the users, for models that read them');
export const vectors = list(
  '<file>',
  'precomputed vectors of the items (items=tower, or ratings): .safetensors, .npy or .parquet; may be repeated',
);

export const data = (help: string): Flag<string | undefined> =>
  parsed(
    '<path>',
    `${help}; may be repeated, or a pattern ("logs/*.csv"), or a folder, for a log in several files`,
    morePaths,
  );

/** The rows of a log, in SQL: over what DuckDB reads, or a database that `--data` names. */
const query: Flag<string | undefined> = {
  value: '<sql>',
  help: "rows of the log as a query: SELECT user, item, time FROM 'events/*.parquet' (DuckDB), or of --data postgres://...",
  partOf: { name: 'data', join: joinQuery },
};

/** How a log is read. */
export const logFlags = {
  query,
  maxBadRows: withDefault(integerFlag('<n>', 'rows that cannot be read: skip up to this many, with a note', 0), 0),
  userColumn: text('<name>', 'column of the user (default: found by its usual names)'),
  itemColumn: text('<name>', 'column of the item (default: found by its usual names)'),
  timeColumn: text('<name>', 'column of the time, or of the order (default: found by its usual names)'),
  ratingColumn: text('<name>', 'column of the rating (default: found by its usual names)'),
  columns: text('<names>', 'all columns of a file without a header, as user,item,rating,timestamp'),
};

/** How a log is filtered. */
export const filterFlags = {
  minInteractions: withDefault(
    integerFlag('<n>', 'filter users and items until each has this many interactions', 1),
    5,
  ),
};

export const set = (help: string): Flag<ReadonlyMap<string, string>> =>
  withDefault(keyValue('<key=value>', `${help}; may be repeated`, '--set d=128'), new Map(), 'none');

export const about = withDefault(
  keyValue('<column=value>', 'what is known of the user, as age=25 (models with --users); may be repeated', 'age=25'),
  new Map(),
  'nothing',
);

export const split = (help: string): Flag<'valid' | 'test'> =>
  withDefault(choiceFlag('<name>', help, ['valid', 'test']), 'test');

export const requestTime: Flag<RequestTime> = withDefault(
  choiceFlag(
    '<name>',
    "whether models that read it know a target's time, as they know the time of a request in deployment; nothing else of the target is known",
    REQUEST_TIMES,
  ),
  'unknown',
);

const protocolHelp = (names: readonly string[]): string =>
  `what trains and what is predicted: ${names.join(', ')} (see below)`;

export const protocol = parsed<Protocol>('<name>', protocolHelp(PROTOCOLS), parseProtocol);
export const modelsProtocol = (whose: string): Flag<Protocol | undefined> => withoutDefault(protocol, whose);
export const leaveOneOutFlag = withDefault(protocol, LEAVE_ONE_OUT, LEAVE_ONE_OUT.name);

/** Splits of ratings, too. */
export const anyProtocol: Flag<Protocol | RatingSplit> = withDefault(
  parsed<Protocol | RatingSplit>('<name>', protocolHelp([...PROTOCOLS, ...RATING_SPLITS]), (name) =>
    isRatingSplit(name) ? parseRatingSplit(name) : parseProtocol(name),
  ),
  LEAVE_ONE_OUT,
  `${LEAVE_ONE_OUT.name}, or folds for ratings`,
);

export const PROTOCOL_HELP = `Protocols (NAME or NAME:key=value,...):
  leave-one-out   a user's last interaction is the test target, the one before it the validation target
  temporal        one cut in time for all users, nothing after it trains; valid=0.1 and test=0.1 are shares
                  of all interactions, targets=first or all; requires a time column
  ratio           the last share of each history is the test set; valid=0.1 test=0.2
  last-n          a user's last n interactions are the test set, the n before them the validation set;
                  n=10; evaluate --next requires it
  sampled-100     leave-one-out against 100 sampled items, as in older papers; seed=1
  cold-items      some items are removed from every history and from training, and are ranked by their attributes
                  (--items) for each user who had any; share=0.2 of the catalog, or --cold-items FILE;
                  valid=0.1 of the others are cold in the validation; seed=1`;
