/** How an error is told: one sentence, what to do, and an exit code. */
import { APIConnectionError, APIError } from 'openai';
import { Refusal } from '../src/formats/refusal.ts';
import { EXIT, type ExitCode, Failure } from './exit-code.ts';

export interface Reported {
  exitCode: ExitCode;
  message: string;
  hint: string | null;
  /** The service's own code and field, where it gave some. */
  code: string | null;
  param: string | null;
  requestId: string | null;
}

const nothing = { hint: null, code: null, param: null, requestId: null };

/** @param url of the service, for the message */
export function reportOf(error: unknown, url: string | null): Reported {
  if (error instanceof Failure) return { ...nothing, exitCode: error.exitCode, message: error.message, hint: error.hint };
  if (error instanceof Refusal)
    return { ...nothing, exitCode: EXIT.usage, message: error.message, hint: error.hint, code: error.code, param: error.param };
  if (error instanceof APIConnectionError)
    return {
      ...nothing,
      exitCode: EXIT.unreachable,
      message: `The service at ${url ?? 'its address'} does not answer${causeOf(error)}`,
      hint: 'Is it running? `npm start` starts one here; `graft login` chooses another; `graft doctor` looks for the cause.',
    };
  if (error instanceof APIError && error.status !== undefined) return reportOfAnswer(error, error.status);
  return { ...nothing, exitCode: EXIT.failed, message: error instanceof Error ? error.message : String(error) };
}

function reportOfAnswer(error: APIError, status: number): Reported {
  // The client writes the status before the service's own sentence.
  const message = error.message.replace(/^\d{3} /, '').replace(/\.$/, '');
  const told = { message, code: error.code ?? null, param: error.param ?? null, requestId: error.requestID ?? null };
  if (status === 401) return { ...told, exitCode: EXIT.denied, hint: 'Sign in with `graft login`, or set GRAFT_API_KEY.' };
  if (status === 403) return { ...told, exitCode: EXIT.denied, hint: null };
  if (status === 429 || status >= 500) return { ...told, exitCode: EXIT.unreachable, hint: null };
  return { ...told, exitCode: EXIT.failed, hint: null };
}

/** Node says why in the cause of the cause: ECONNREFUSED, ENOTFOUND, … */
function causeOf(error: Error): string {
  for (let cause: unknown = error.cause; cause instanceof Error; cause = cause.cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== undefined) return ` (${code})`;
  }
  return '';
}

/** Whether the same request may succeed a little later. */
export function isPassing(error: unknown): boolean {
  if (error instanceof APIConnectionError) return true;
  if (error instanceof APIError && error.status !== undefined) return error.status === 408 || error.status === 429 || error.status >= 500;
  // What fetch throws when a body is cut off.
  return error instanceof TypeError;
}
