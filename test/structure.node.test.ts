/** The house rules that a test can see (see README, «How to add an op»). */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { cases } from './kernels/cases.ts';

const root = new URL('../', import.meta.url);
const files = (folder: string): string[] =>
  readdirSync(new URL(`${folder}/`, root), { recursive: true, withFileTypes: true })
    .filter((f) => f.isFile() && f.name.endsWith('.ts'))
    .map((f) => `${f.parentPath}/${f.name}`);

describe('structure', () => {
  it('kernels/index.ts is current', () => {
    execFileSync(process.execPath, [new URL('kernels/generate.mjs', root).pathname, '--check']);
  });

  const ops = readdirSync(new URL('engine/ops/', root))
    .filter((f) => f.endsWith('.ts') && !f.endsWith('.ref.ts'))
    .map((f) => f.slice(0, -3));

  it.each(ops)('the op %s has a reference and a case', (op) => {
    expect(existsSync(new URL(`engine/ops/${op}.ref.ts`, root)), 'reference').toBe(true);
    expect(
      cases.some((c) => c.op === op),
      'case',
    ).toBe(true);
  });

  it('what runs in Chrome imports nothing of Node', () => {
    const offenders = ['engine', 'kernels', 'model', 'train', 'data']
      .flatMap(files)
      .filter((f) => /from ['"](node:|fs|path|os)/.test(readFileSync(f, 'utf8')));
    expect(offenders).toEqual([]);
  });

  it('arrows run downward', () => {
    const below: Record<string, string[]> = {
      kernels: [],
      engine: ['kernels'],
      data: [],
      model: ['engine', 'data'],
      train: ['model', 'engine', 'data'],
      serve: ['model', 'engine', 'data'],
    };
    const offenders: string[] = [];
    for (const [folder, allowed] of Object.entries(below)) {
      for (const file of files(folder)) {
        for (const [, to] of readFileSync(file, 'utf8').matchAll(/from '(?:\.\.\/)+(\w+)\//g)) {
          if (to in below && to !== folder && !allowed.includes(to)) offenders.push(`${file} → ${to}`);
        }
      }
    }
    expect(offenders).toEqual([]);
  });
});
