/** The command tree. A command is a file `commands/NAME.flags.ts` and a line in the table. */
import { Command } from 'commander';
import { messageLine } from '../data/visible.ts';
import attack from './commands/attack.flags.ts';
import backtest from './commands/backtest.flags.ts';
import bench from './commands/bench.flags.ts';
import compare from './commands/compare.flags.ts';
import demo from './commands/demo.flags.ts';
import doctor from './commands/doctor.flags.ts';
import evaluate from './commands/evaluate.flags.ts';
import explain from './commands/explain.flags.ts';
import exportModel from './commands/export.flags.ts';
import federate from './commands/federate.flags.ts';
import generate from './commands/generate.flags.ts';
import importModel from './commands/import.flags.ts';
import items from './commands/items.flags.ts';
import join from './commands/join.flags.ts';
import keys from './commands/keys.flags.ts';
import pack from './commands/pack.flags.ts';
import prepare from './commands/prepare.flags.ts';
import recipes from './commands/recipes.flags.ts';
import recommend from './commands/recommend.flags.ts';
import search from './commands/search.flags.ts';
import serve from './commands/serve.flags.ts';
import train from './commands/train.flags.ts';
import tune from './commands/tune.flags.ts';
import unpack from './commands/unpack.flags.ts';
import update from './commands/update.flags.ts';
import vectors from './commands/vectors.flags.ts';
import worker from './commands/worker.flags.ts';
import { commandName, versionOf } from './common.ts';

const COMMANDS = [
  train,
  update,
  backtest,
  evaluate,
  compare,
  attack,
  search,
  worker,
  federate,
  join,
  prepare,
  recommend,
  serve,
  keys,
  generate,
  vectors,
  exportModel,
  importModel,
  items,
  pack,
  unpack,
  recipes,
  doctor,
  bench,
  tune,
  explain,
  demo,
];

/** @param quiet print no errors of usage: with `--json` the caller does */
export function buildProgram({ quiet = false } = {}): Command {
  const program = new Command('attune')
    .description('Trains and serves a transformer recommender from an interaction log.')
    .version(versionOf(), '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .configureOutput({
      outputError: (text, write) => {
        if (!quiet) write(`attune: ${messageLine(text.replace(/^error: /, ''))}\n`);
      },
    })
    .exitOverride();
  for (const register of COMMANDS) register(program, commandName());
  return program;
}
