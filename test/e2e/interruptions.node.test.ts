/**
 * Trainings that are interrupted as users interrupt them, on WebGPU. Each continues with --resume and ends bit-identical to
 * a training that was never stopped.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, watch } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { openWorkplace } from '../cli/attune.ts';
import { FULL } from '../full.ts';
import { manifestOf } from '../model/parts.ts';
import { build, linesIn, ring, root, safetensors, said, TINY } from './paths.ts';

const EPOCHS = '30';
/** An epoch has three steps, and each validation writes a checkpoint: most of the time goes into writing. */
const SETTINGS = [...TINY, '--set', 'validateSteps=3', '--set', 'patience=1000'];

build();
const place = openWorkplace();
beforeAll(async () => {
  place.write('log.csv', ring(60, 12));
  const { reason } = await place.json(begin('whole'));
  expect(reason).toBe('epochs');
});

const begin = (out: string) => ['train', '--data', 'log.csv', '--out', out, '--epochs', EPOCHS, ...SETTINGS];
const resume = (out: string) => ['train', '--out', out, '--resume', '--epochs', EPOCHS];
const checkpointOf = (out: string) => {
  const { metadata, tensors } = safetensors(place.part(`${out}/checkpoint.safetensors`));
  const { elapsedSeconds, ...counters } = JSON.parse(metadata.counters);
  expect(elapsedSeconds).toBeGreaterThan(0);
  return { counters, tensors };
};

/** Weights, moments, averages, counters, best weights, and validations equal those of the training that was never stopped. */
function expectWhole(out: string): void {
  const [whole, ours] = [checkpointOf('whole'), checkpointOf(out)];
  expect(ours.counters).toEqual(whole.counters);
  expect([...ours.tensors.keys()]).toEqual([...whole.tensors.keys()]);
  expect(ours.tensors.size % 4).toBe(0);
  for (const [name, bytes] of whole.tensors) expect(ours.tensors.get(name)?.equals(bytes), name).toBe(true);
  const best = (dir: string) => readFileSync(place.part(`${dir}/model.safetensors`));
  expect(best(out).equals(best('whole'))).toBe(true);
  const validations = (dir: string) =>
    place.jsonLines(`${dir}/metrics.jsonl`).map(({ step, epoch, valid }) => ({ step, epoch, valid }));
  expect(validations(out)).toEqual(validations('whole'));
  // Resumed trainings write more generations, and remove the old ones.
  const names = (dir: string) => readdirSync(place.path(dir)).map((name) => name.replace(/-\d{6}\./, '.'));
  expect(names(out)).toEqual(names('whole'));
  const files = Object.values(manifestOf(place.path(out))).map(({ file }) => file);
  expect(readdirSync(place.path(out)).sort()).toEqual([...files, 'README.md', 'manifest.json', 'metrics.jsonl'].sort());
}

/** The folder can serve, whatever happened to its training. */
async function expectServes(out: string): Promise<void> {
  const { items } = await place.json(['recommend', '--model', out, '--history', 'i1,i2', '--k', '3']);
  expect(items).toHaveLength(3);
}

describe('Ctrl-C', () => {
  test('in a terminal, through npm: saves, prints how to continue, exits 130; --resume ends with the same bits', async () => {
    const out = place.path('cut');
    const args = begin(out).map((arg) => (arg === 'log.csv' ? place.path(arg) : arg));
    // In a process group of its own, as a shell starts it: the terminal sends Ctrl-C to the whole group, npm included.
    const child = spawn('npm', ['run', '-s', 'attune', '--', ...args], {
      cwd: root,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
    // The shell between npm and the command ends by the signal itself, which whoever started it sees as 130.
    const code = new Promise((resolve) =>
      child.on('close', (status, signal) => resolve(signal === 'SIGINT' ? 130 : status)),
    );
    await linesIn(`${out}/metrics.jsonl`, 4);
    process.kill(-(child.pid as number), 'SIGINT');
    expect(await code).toBe(130);
    const message =
      /^attune: stopped at step (\d+); everything is saved in (\S+); continue with: npm run -s attune -- (.+)$/m;
    const [, step, where, command] = message.exec(stderr) ?? expect.fail(stderr);
    expect(where).toBe(out);
    expect(command).toBe(`train --out ${out} --resume`);
    const { counters } = checkpointOf('cut');
    expect(counters.step).toBe(Number(step));
    expect(counters.step).toBeLessThan(checkpointOf('whole').counters.step);
    expect(existsSync(place.path('cut/attune.lock'))).toBe(false);
    await expectServes('cut');

    const { reason } = await place.json([...command.split(' '), '--epochs', EPOCHS]);
    expect(reason).toBe('epochs');
    expectWhole('cut');
  });

  test('--resume of a finished training exits 0 and changes no byte', async () => {
    cpSync(place.path('whole'), place.path('done'), { recursive: true });
    const outcome = await place.run(resume('done'));
    expect(outcome.code).toBe(0);
    expect(said(outcome)).toEqual([]);
    expect(outcome.stdout).toContain('had finished before');
    expectWhole('done');
  });
});

describe('kill -9', () => {
  test('while checkpoints are written: the folder can serve, and --resume ends with the same bits', async () => {
    const steps: number[] = [];
    let hits = 0;
    mkdirSync(place.path('killed'));
    const [rounds, wanted] = FULL ? [12, 12] : [8, 2];
    for (let round = 0; round < rounds && hits < wanted; round++) {
      const outcome = await place.run(round === 0 ? begin('killed') : resume('killed'), {
        started: (child) => killInWrite(child, FULL ? 2 : 3 + round),
      });
      expect(outcome.code, outcome.stderr).toBe(null);
      const names = readdirSync(place.path('killed'));
      if (names.some((name) => /^\.checkpoint-.*tmp$/.test(name))) hits++;
      expect(names).toContain('attune.lock');
      steps.push(checkpointOf('killed').counters.step);
      if (round === 0) await expectServes('killed');
    }
    expect(hits, 'no kill hit the write of a checkpoint: the test proves nothing').toBeGreaterThan(0);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    expect(steps.at(-1)).toBeLessThan(checkpointOf('whole').counters.step);
    await expectServes('killed');
    const outcome = await place.run(resume('killed'));
    expect(outcome.code, outcome.stderr).toBe(0);
    expectWhole('killed');
  });

  test('before the first step: nothing to serve yet, and --resume starts it', async () => {
    const outcome = await place.run(begin('unborn'), {
      started: async (child) => {
        const manifest = place.path('unborn/manifest.json');
        while (!existsSync(manifest) || !readFileSync(manifest, 'utf8').includes('config')) await sleep(2);
        child.kill('SIGKILL');
      },
    });
    expect(outcome.code, outcome.stderr).toBe(null);
    expect(Object.keys(manifestOf(place.path('unborn')))).not.toContain('checkpoint.safetensors');
    const recommend = await place.run('recommend --model unborn --history i1');
    expect(said(recommend)).toEqual([expect.stringMatching(/^attune: unborn: holds no weights yet/)]);
    expect(recommend.code).toBe(1);
    const again = await place.run(resume('unborn'));
    expect(again.code, again.stderr).toBe(0);
    expectWhole('unborn');
  });

  /** Kills the training as soon as it starts to write its n-th checkpoint. */
  function killInWrite(child: ChildProcess, n: number): void {
    const started = new Set<string>();
    const watcher = watch(place.path('killed'), (_, name) => {
      if (!name?.startsWith('.checkpoint-') || !name.includes(`.${child.pid}-`)) return;
      started.add(name);
      if (started.size >= n) child.kill('SIGKILL');
    });
    child.on('close', () => watcher.close());
  }
});

describe('one folder', () => {
  test('allows one training at a time', async () => {
    const args = ['train', '--data', 'log.csv', '--out', 'shared', '--max-minutes', '1', ...SETTINGS];
    let second: Promise<void> | undefined;
    const first = await place.run(args, {
      started(child) {
        second = (async () => {
          await linesIn(place.path('shared/metrics.jsonl'), 1);
          for (const flag of ['--resume', '--overwrite']) {
            const outcome = await place.run(flag === '--resume' ? resume('shared') : [...args, flag]);
            expect(said(outcome)).toEqual([
              expect.stringMatching(
                new RegExp(`^attune: shared: another training \\(process ${child.pid} .*; choose another folder`),
              ),
            ]);
            expect(outcome.code).toBe(1);
          }
        })().finally(() => child.kill('SIGINT'));
      },
    });
    await second;
    expect(first.code).toBe(130);
    const steps = place.jsonLines('shared/metrics.jsonl').map(({ step }) => step);
    expect(steps).toEqual(steps.map((_, i) => 3 * (i + 1)));
    await expectServes('shared');
  });
});

describe('a full disk', () => {
  test('while a checkpoint is written: one line, the folder can serve; with free space it continues', async (context) => {
    const dir = place.path('full');
    mkdirSync(dir);
    const mount = (options: string) => spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', dir]).status;
    // Room for one of everything, but not for a second checkpoint (43 KB each) with the training record and a manifest.
    if (mount('size=116k') !== 0) context.skip('skipped: mounting a small file system needs root');
    try {
      const outcome = await place.run(begin('full'));
      expect(said(outcome)).toEqual([
        expect.stringMatching(
          /^attune: full\/(checkpoint-\d+\.safetensors|manifest\.json): the disk is full, .* intact.*; free some space/,
        ),
      ]);
      expect(outcome.code).toBe(1);
      expect(readdirSync(dir).filter((name) => name.startsWith('.') || name === 'attune.lock')).toEqual([]);
      expect(checkpointOf('full').counters.step).toBe(1);
      await expectServes('full');

      expect(mount('remount,size=1m')).toBe(0);
      const again = await place.run(resume('full'));
      expect(again.code, again.stderr).toBe(0);
      expectWhole('full');
    } finally {
      execFileSync('umount', [dir]);
    }
  });
});
