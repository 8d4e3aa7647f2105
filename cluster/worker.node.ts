/**
 * A worker: takes jobs from a queue and runs each as a command in a process of its own, so that the worker can tell Redis that it
 * lives while the command computes, and a crash of one ends no other. A job whose worker has died is given to another one
 * after `LEASE`; a process whose worker has died ends with it (cli/main.ts).
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { DelayedError, type Job as QueuedJob, Worker } from 'bullmq';
import { Snapshot } from '../model/storage/manifest.ts';
import { NodeFiles } from '../recommend/sources/files.node.ts';
import { dropForeignLock } from '../recommend/sources/lock.node.ts';
import { type Job, type JobResult, requireRunnable } from './jobs.ts';
import { connect, QUEUE } from './redis.node.ts';

/** Milliseconds without a sign of life after which a job is given to another worker. */
const LEASE = 15_000;
/** A job that has taken so many workers with it is given up. */
const LOST = 10;
/** Milliseconds until a folder that another process writes to is tried again, and how often it is. */
const WAIT = 5000;
const WAITS = 120;
/** Standard error of a process that is kept for messages. */
const TAIL = 20_000;

export interface WorkerOptions {
  /** Address of the queue. */
  queue: string;
  /** Folder that the paths of jobs start from. */
  workspace: string;
  /** How a command is started: the program and its first arguments. */
  command: readonly string[];
  device: string;
  /** Jobs at a time. */
  concurrency: number;
  /** Ends the worker: what it is doing is saved, and given back to the queue. */
  signal: AbortSignal;
  log(line: string): void;
}

/** Works until the signal. @throws InputError where Redis does not answer */
export async function runWorker(options: WorkerOptions): Promise<void> {
  const redis = await connect(options.queue);
  const running = new Map<string, AbortController>();
  const worker = new Worker<Job, JobResult>(
    QUEUE,
    async (job, token) => {
      const id = job.id as string;
      const lost = new AbortController();
      running.set(id, lost);
      try {
        return await runJob(job, token as string, lost.signal, options);
      } finally {
        running.delete(id);
      }
    },
    {
      connection: redis,
      concurrency: options.concurrency,
      lockDuration: LEASE,
      stalledInterval: LEASE / 3,
      maxStalledCount: LOST,
    },
  );
  worker.on('error', (error) => options.log(`the queue: ${error.message}`));
  // Someone else has the job now, or will: it must not be done twice.
  worker.on('lockRenewalFailed', (ids) => {
    for (const id of ids) running.get(id)?.abort();
  });
  await worker.waitUntilReady();
  options.log('ready');
  await new Promise<void>((resolve) => {
    if (options.signal.aborted) resolve();
    else options.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await worker.close();
  redis.disconnect();
}

async function runJob(
  queued: QueuedJob<Job, JobResult>,
  token: string,
  lost: AbortSignal,
  { workspace, command, device, signal, log }: WorkerOptions,
): Promise<JobResult> {
  const { data: job } = queued;
  requireRunnable(job);
  if (job.once && queued.stalledCounter > 0) throw new Error('its worker died');
  const minutes = job.until === undefined ? null : (job.until - Date.now()) / 60_000;
  if (minutes !== null && minutes <= 0) return { kind: 'late' };
  // A worker elsewhere left it when it died: the queue says that the job is ours.
  if (queued.stalledCounter > 0 && job.resume) await dropForeignLock(path.resolve(workspace, job.resume.folder));
  const resumed = job.resume && (await canResume(workspace, job.resume));
  const words = [...(resumed ? (job.resume?.words ?? []) : job.words), '--json', '--device', device];
  if (minutes !== null) words.push('--max-minutes', String(minutes));
  const started = performance.now();
  log(`${job.title}${queued.attemptsStarted > 1 ? `, start ${queued.attemptsStarted}` : ''}`);
  const { code, stdout, stderr } = await run([...command, ...words], workspace, signal, lost);
  if (signal.aborted && code !== 0) {
    log(`${job.title}: given back`);
    await queued.moveToDelayed(Date.now(), token);
    throw new DelayedError();
  }
  const report = code === 0 ? null : parseReport(lastLine(stderr));
  if (report?.code === 'locked' && queued.attemptsStarted < WAITS) {
    // A job that was withdrawn while it ran still writes there, until it ends.
    log(`${job.title}: waits; ${report.reason}`);
    await queued.moveToDelayed(Date.now() + WAIT, token);
    throw new DelayedError();
  }
  const result = resultOf(code, stdout, stderr);
  log(`${job.title}: ${result.kind} after ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return result;
}

/** @throws Error where the job should be tried again */
function resultOf(code: number | null, stdout: string, stderr: string): JobResult {
  if (code === 0) return { kind: 'done', output: JSON.parse(stdout) };
  const last = lastLine(stderr);
  const report = parseReport(last);
  const refused =
    report !== null && (code === 1 || code === 2 || (code === 3 && report.reason.startsWith('training: ')));
  if (refused) return { kind: 'refused', ...report };
  throw new Error(report?.reason ?? (last !== '' ? last : `the process ended with ${code ?? 'a signal'}`));
}

const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1) ?? '';

function parseReport(line: string): { code: string; reason: string } | null {
  try {
    const { code, reason } = JSON.parse(line) as { code: string; reason: string };
    return typeof code === 'string' && typeof reason === 'string' ? { code, reason } : null;
  } catch {
    return null;
  }
}

async function canResume(workspace: string, { folder, part }: NonNullable<Job['resume']>): Promise<boolean> {
  const where = path.resolve(workspace, folder);
  if (!existsSync(where)) return false;
  return (await Snapshot.open(await NodeFiles.open(where))).has(part);
}

interface Ended {
  /** null: a signal ended it */
  code: number | null;
  stdout: string;
  stderr: string;
}

/** @param stop ends it as Ctrl-C does @param lost ends it at once */
function run([program, ...args]: readonly string[], cwd: string, stop: AbortSignal, lost: AbortSignal): Promise<Ended> {
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ATTUNE_WORKER: '1' },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // Ctrl-C at the worker's terminal reaches it once, through the worker.
    detached: true,
  });
  const [out, err] = [child.stdout, child.stderr];
  let [stdout, stderr] = ['', ''];
  out?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  err?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-TAIL);
  });
  const interrupt = () => child.kill('SIGINT');
  const kill = () => child.kill('SIGKILL');
  stop.addEventListener('abort', interrupt, { once: true });
  lost.addEventListener('abort', kill, { once: true });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      stop.removeEventListener('abort', interrupt);
      lost.removeEventListener('abort', kill);
      resolve({ code, stdout, stderr });
    });
  });
}
