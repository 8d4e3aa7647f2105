/** The fenced code blocks of README.md and docs/, and what they say about themselves. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../e2e/paths.ts';

/** Where the server of the documentation is; the tests have one on a free port. */
export const ADDRESS = 'http://127.0.0.1:8080';

export interface Block {
  /** File and line, for messages. */
  where: string;
  file: string;
  language: string;
  /**
   * `file=engine/ops/add.ts` quotes that file; `no-run="why"` names what keeps the block from running here; `save="NAME"`
   * makes it a file for the commands of the page.
   */
  info: Readonly<Record<string, string>>;
  code: string;
}

/** Pages that are written by docs/cli.mjs, and have a test of their own. */
export const generated: readonly string[] = ['docs/cli.md', 'docs/settings.md'];

/** README.md and the guides. */
export const pages: readonly string[] = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md'],
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .sort()
    .map((name) => `docs/${name}`)
    .filter((file) => !generated.includes(file)),
];

export function blocksOf(file: string): Block[] {
  const lines = readFileSync(join(root, file), 'utf8').split('\n');
  const blocks: Block[] = [];
  for (let i = 0; i < lines.length; i++) {
    const [, fence, language, rest] = /^(```+)(\S*)\s*(.*)$/.exec(lines[i]) ?? [];
    if (fence === undefined) continue;
    const end = lines.indexOf(fence, i + 1);
    if (end < 0) throw new Error(`${file}:${i + 1}: this code block is not closed`);
    const info = Object.fromEntries(
      [...rest.matchAll(/([\w-]+)=(?:"([^"]*)"|(\S+))/g)].map(([, key, quoted, plain]) => [key, quoted ?? plain]),
    );
    blocks.push({ where: `${file}:${i + 1}`, file, language, info, code: lines.slice(i + 1, end).join('\n') });
    i = end;
  }
  return blocks;
}

/** The commands of a `sh` block: comments dropped, lines that end in a backslash joined. */
export function commandsOf({ code }: Block): string[] {
  return code
    .replace(/\\\n/g, ' ')
    .split('\n')
    .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
    .filter((line) => line !== '');
}

/** The words of a command, quotes removed. */
export function wordsOf(command: string): string[] {
  return [...command.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)].map(([word]) =>
    word.replace(/'([^']*)'|"([^"]*)"/g, '$1$2'),
  );
}

/** The arguments of `npm run -s attune -- ARGS`, `npx attune ARGS` or `attune ARGS`; null for any other command. */
export function argumentsOf(command: string): string[] | null {
  const found = /^(?:npm run -s attune --|npx attune|attune)(?:\s+(.*))?$/.exec(command);
  return found && wordsOf(found[1] ?? '');
}
