import { messageLine } from './visible.ts';

/**
 * An error in what the user gave: a file, a flag, a value. Its message is one line that says what was wrong,
 * where (file:line when there is one) and what to do. The command prints it without a stack and exits with 1.
 * What names and values put into it is made visible and, where it is long, cut: it stays one line whatever they hold.
 */
export class InputError extends Error {
  override name = 'InputError';

  constructor(message: string, options?: ErrorOptions) {
    super(messageLine(message), options);
  }
}
