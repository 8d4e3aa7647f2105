#!/usr/bin/env node
/** The command `attune`. */
import { interrupts } from './common.ts';
import { reportError } from './errors.ts';
import { buildProgram } from './program.ts';

// The reader of our output left, as in `attune recommend | head -3`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
});
// A training saves first; anything else just ends.
process.on('SIGINT', () => {
  if (!interrupts.handled) process.exit(130);
});

// A job ends with the worker that it runs for.
if (process.env.ATTUNE_WORKER) {
  process.on('disconnect', () => process.exit(130));
  process.channel?.unref();
}

/** Whether errors are JSON objects, those of the command line itself included. */
const json = process.argv.includes('--json');
try {
  await buildProgram({ quiet: json }).parseAsync();
} catch (error) {
  process.exitCode = reportError(error, { json });
}
