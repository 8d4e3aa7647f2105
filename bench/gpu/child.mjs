/** Runs the commands of a part side by side, each killed at the limit; a crash is a result like any other. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Seconds that a part may be late: it ends by itself where it can. */
const GRACE = 2;

/**
 * @param {string[][]} commands
 * @param {{ cwd: string, env: object, seconds: number, onLine: (line: object) => void }} options
 * @returns {Promise<{ status: 'done' | 'stopped' | 'failed', reason?: string }>}
 */
export async function runChild(commands, options) {
  const outcomes = await Promise.all(commands.map((command) => runOne(command, options)));
  return (
    outcomes.find(({ status }) => status === 'failed') ??
    outcomes.find(({ status }) => status === 'stopped') ??
    outcomes[0]
  );
}

function runOne([command, ...args], { cwd, env, seconds, onLine }) {
  return new Promise((done) => {
    // A group of its own, so that what it starts ends with it.
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let errors = '';
    let late = false;
    const kill = () => {
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
    };
    const timer = setTimeout(
      () => {
        late = true;
        kill();
      },
      1000 * (seconds + GRACE),
    );
    process.once('exit', kill);
    child.stderr.on('data', (chunk) => {
      errors = `${errors}${chunk}`.slice(-4000);
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      try {
        const value = JSON.parse(line);
        if (value && typeof value === 'object') onLine(value);
      } catch {
        errors = `${errors}${line}\n`.slice(-4000);
      }
    });
    const end = (outcome) => {
      clearTimeout(timer);
      process.off('exit', kill);
      done(outcome);
    };
    child.on('error', (error) => end({ status: 'failed', reason: error.message }));
    child.on('close', (code, signal) => {
      if (late) end({ status: 'stopped', reason: 'at its limit' });
      else if (code === 0) end({ status: 'done' });
      else end({ status: 'failed', reason: `exit ${signal ?? code}: ${errors.trim()}` });
    });
  });
}
