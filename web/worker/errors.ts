/** Errors on their way to the page: comlink sends name, message and stack; the page also needs what an InputError says. */
import { transferHandlers } from 'comlink';
import { type ErrorDetails, InputError } from '../../data/errors.ts';

/** An InputError as it arrives in the page. */
export type SentError = Pick<InputError, 'name' | 'code' | 'reason' | 'hint' | 'setting'> & { value?: string };

/** Has the worker send all of an InputError. */
export function sendWholeErrors(): void {
  const handler = transferHandlers.get('throw');
  if (!handler) throw new Error('comlink has no handler of errors');
  transferHandlers.set('throw', {
    ...handler,
    serialize(thrown) {
      const [sent, transferred] = handler.serialize(thrown);
      const error = (thrown as { value: unknown }).value;
      if (error instanceof InputError) {
        const { code, reason, hint, setting, value } = error;
        const details: ErrorDetails = { setting, hint, value: value === undefined ? undefined : String(value) };
        Object.assign((sent as { value: object }).value, { code, reason, ...details });
      }
      return [sent, transferred];
    },
  });
}
