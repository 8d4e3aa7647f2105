/**
 * The shell commands of README.md and docs/, as they stand there, page by page: in a folder with a small shop, on the CPU
 * device, with models of a few hundred weights. Requests go to the server that the page has started. What cannot run here
 * still has its flags and scripts looked up.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Workplace } from '../cli/attune.ts';
import { build, root } from '../e2e/paths.ts';
import { endAll, type Served, serveCommand } from '../server/command.ts';
import { ADDRESS, argumentsOf, type Block, blocksOf, commandsOf, pages, wordsOf } from './blocks.ts';
import { writeShop } from './shop.ts';

type Flags = Record<string, { long: string; value: boolean }[]>;

/** Settings that make a model of a few hundred weights, of rankings and of ratings. */
const SMALL = { d: '8', ff: '16', blocks: '1', heads: '1', window: '16', budget: '256' };
const SMALL_RATINGS = {
  d: '8',
  heads: '1',
  ff: '16',
  window: '16',
  budget: '256',
  factors: '2',
  sweeps: '2',
  parts: '2',
};
const QUICK_RANKER = { rankerValidate: '2', rankerPatience: '1', rankerNegatives: '3', rankerCandidates: '10' };

let flags: Flags;
/** Holds `model`, trained on the shop, for pages that begin with a trained model. */
let shop: Workplace;

beforeAll(async () => {
  build();
  flags = JSON.parse(execFileSync(process.execPath, ['docs/cli.mjs', '--json'], { cwd: root, encoding: 'utf8' }));
  shop = new Workplace();
  writeShop(shop.dir);
  const args = ['train', '--data', 'ratings.csv', '--items', 'movies.csv', '--out', 'model'];
  const { code, stderr } = await shop.run(reduced(args));
  expect(code, stderr).toBe(0);
});
afterAll(() => {
  endAll();
  shop?.remove();
});

const valueAfter = (args: readonly string[], flag: string): string | undefined =>
  args.includes(flag) ? args[args.indexOf(flag) + 1] : undefined;

/** The same command on the CPU device, with little to do; what the page sets stays as it is. */
function reduced(args: readonly string[]): string[] {
  const [command] = args;
  const out = [...args];
  const has = (flag: string): boolean => flags[command].some(({ long }) => long === flag);
  if (has('--device') && !out.includes('--device')) out.push('--device', 'cpu');
  if (command === 'update' && !out.includes('--epochs')) out.push('--epochs', '1');
  if (!['train', 'search', 'backtest', 'attack'].includes(command)) return out;
  if (out.includes('--final')) return out; // epochs and settings are those of the model that it names
  const budget = out.indexOf('--budget');
  if (budget >= 0) out[budget + 1] = '2s';
  const resumed = out.includes('--resume');
  const rankerAlone = resumed && out.includes('--ranker');
  // Private training plans its steps, on one user at a time, and is small.
  if (out.includes('--dp')) return out;
  if (command === 'train' && !out.includes('--epochs') && !rankerAlone) out.push('--epochs', '1');
  if (resumed && !rankerAlone) return out;
  const sets = (i: number): boolean => ['--set', '--range'].includes(args[i - 1]);
  const given = new Set(args.flatMap((arg, i) => (sets(i) ? arg.split('=', 1) : [])));
  const ratings = ['rating', 'ctr'].includes(valueAfter(args, '--task') ?? '');
  const settings = resumed
    ? QUICK_RANKER
    : { ...(ratings ? SMALL_RATINGS : SMALL), ...(out.includes('--ranker') ? QUICK_RANKER : {}) };
  for (const [key, value] of Object.entries(settings)) if (!given.has(key)) out.push('--set', `${key}=${value}`);
  return out;
}

/** Fails for a flag that the command does not have. */
function checkFlags(where: string, args: readonly string[]): void {
  const [command, ...rest] = args;
  if (command === '--help' || command === '--version' || command === undefined) return;
  expect(Object.keys(flags), `${where}: attune ${command}`).toContain(command);
  const known = [...flags[command].map(({ long }) => long), '--help'];
  for (const arg of rest.filter((word) => word.startsWith('--')))
    expect(known, `${where}: attune ${command} ${arg}`).toContain(arg.split('=', 1)[0]);
}

const scripts = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).scripts as Record<string, string>;

/** What a command that is not Attune's may be, where the block does not run: a script of package.json, or a known tool. */
function checkOther(where: string, command: string): void {
  const [program, ...args] = wordsOf(command.replace(/^(?:\w+=\S+\s+)+/, ''));
  if (program === 'npm') {
    const [verb, ...rest] = args;
    const script =
      verb === 'run' ? rest.find((word) => !word.startsWith('-')) : ['start', 'test'].includes(verb) ? verb : null;
    if (script) expect(Object.keys(scripts), `${where}: ${command}`).toContain(script);
    else expect(['install', 'ci'], `${where}: ${command}`).toContain(verb);
  } else if (program === 'node' && args[0].startsWith('dist/')) {
    const source = args[0].replace(/^dist\/(.*)\.js$/, '$1.ts');
    expect(existsSync(join(root, source)), `${where}: ${source}`).toBe(true);
  } else if (program === 'node') {
    expect(existsSync(join(root, args[0])), `${where}: ${args[0]}`).toBe(true);
  } else
    expect(['npx', 'cp', 'cd', 'git', 'apt-get', 'curl', 'sqlite3', 'pg_dump'], `${where}: ${command}`).toContain(
      program,
    );
}

/** The server that a page has started last: its requests go to it, whatever port the page names. */
type Running = { served?: Served };

/** Ends the server as Ctrl-C does. */
async function endServer(running: Running): Promise<void> {
  const { served } = running;
  running.served = undefined;
  if (served) expect(await served.end('SIGINT'), served.said()).toBe(0);
}

async function runBlock(place: Workplace, block: Block, running: Running): Promise<void> {
  if (block.info.save) place.write(block.info.save, block.code);
  if (block.language !== 'sh') return;
  for (const command of commandsOf(block)) {
    const args = argumentsOf(command);
    if (args === null) {
      if (block.info['no-run']) checkOther(block.where, command);
      else if (command.startsWith('curl ') && running.served) {
        const { url } = running.served;
        const request = wordsOf(command)
          .slice(1)
          .map((word) => word.replace(ADDRESS, url));
        // A busy machine runs these tests, too: a server that lags answers 503, and when to come back.
        const curl = ['--fail-with-body', '--silent', '--show-error', '--retry', '9'];
        execFileSync('curl', [...curl, ...request], { stdio: 'pipe' });
      } else if (/^cp -r \S+ \S+$/.test(command)) {
        const [, , from, to] = wordsOf(command);
        cpSync(place.path(from), place.path(to), { recursive: true });
      } else if (/^(?:mkdir -p|cp) \S+(?: \S+)?$/.test(command)) {
        execFileSync(wordsOf(command)[0], wordsOf(command).slice(1), { cwd: place.dir });
      } else expect.fail(`${block.where}: cannot run "${command}" here; mark the block with no-run="why"`);
      continue;
    }
    checkFlags(block.where, args);
    if (block.info['no-run']) continue;
    const makes = valueAfter(args, '--out') === 'model' && !args.includes('--resume');
    if (args.includes('model') && !makes && !existsSync(place.path('model')))
      cpSync(shop.path('model'), place.path('model'), { recursive: true });
    if (args[0] === 'serve') {
      await endServer(running);
      const own = args.slice(1).filter((word, i, all) => word !== '--port' && all[i - 1] !== '--port');
      running.served = await serveCommand(own, {}, place.dir);
      continue;
    }
    const { code, stderr } = await place.run(flags[args[0]] ? reduced(args) : args);
    expect(code, `${block.where}: ${command}\n${stderr}`).toBe(0);
  }
}

describe('the commands of', () => {
  for (const page of pages) {
    const blocks = blocksOf(page).filter(({ language, info }) => language === 'sh' || info.save);
    if (blocks.length === 0) continue;
    test.concurrent(page, async () => {
      const place = new Workplace();
      const running: Running = {};
      try {
        writeShop(place.dir);
        for (const block of blocks) await runBlock(place, block, running);
        await endServer(running);
      } finally {
        place.remove();
      }
    });
  }
});

test('the commands of bench/RESULTS.md have flags that there are', () => {
  for (const block of blocksOf('bench/RESULTS.md').filter(({ language }) => language === 'sh')) {
    for (const command of commandsOf(block)) {
      const args = argumentsOf(command);
      if (args) checkFlags(block.where, args);
    }
  }
});
