/**
 * An error in what the user gave: a file, a flag, a value. Its message is one line that says what was wrong,
 * where (file:line when there is one) and what to do. The command prints it without a stack and exits with 1.
 */
export class InputError extends Error {
  override name = 'InputError';
}
