/**
 * Runs commands of the built `attune` one after the other, as cli/main.ts does, in one process: what it takes to load and
 * compile them is paid once. A message holds the arguments; the answer is the exit code and what was written.
 */
import { fileURLToPath } from 'node:url';
import { reportError } from '../../dist/cli/errors.js';
import { buildProgram } from '../../dist/cli/program.js';

const command = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
let written = { stdout: '', stderr: '' };
for (const name of ['stdout', 'stderr']) {
  process[name].write = (chunk, ...rest) => {
    written[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
    rest.find((one) => typeof one === 'function')?.();
    return true;
  };
}

process.on('message', async (args) => {
  written = { stdout: '', stderr: '' };
  process.argv = [process.execPath, command, ...args];
  const json = args.includes('--json');
  let code = 0;
  try {
    await buildProgram({ quiet: json }).parseAsync();
  } catch (error) {
    code = reportError(error, { json });
  }
  process.send({ code, ...written });
});
process.on('disconnect', () => process.exit());
