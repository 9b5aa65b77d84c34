/** What the command's exit code says to a script; documented in docs/cli.md. */
export const EXIT = {
  done: 0,
  /** The service refused the request, or what was asked for went wrong: a job failed, a file has problems, a check of `graft doctor` failed. */
  failed: 1,
  /** The command line, or a file that it names, cannot be understood. */
  usage: 2,
  /** The service does not answer, or answers that it cannot now (5xx, 429). */
  unreachable: 3,
  /** There is no key, or the key may not do this. */
  denied: 4,
  /** As shells report Ctrl-C. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

interface Details {
  exitCode?: ExitCode;
  /** What to do about it. */
  hint?: string;
}

/** Ends the command with a message. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly exitCode: ExitCode;
  readonly hint: string | null;

  /** @param message what is wrong and where; without a final full stop */
  constructor(message: string, { exitCode = EXIT.failed, hint }: Details = {}) {
    super(message);
    this.exitCode = exitCode;
    this.hint = hint ?? null;
  }
}

/** The command line, or a file that it names, cannot be understood. */
export const usageFailure = (message: string, hint?: string): Failure =>
  new Failure(message, { exitCode: EXIT.usage, ...(hint !== undefined && { hint }) });

/** A file that the command line names cannot be read. */
export const unreadable = (path: string, { code }: NodeJS.ErrnoException): Failure =>
  usageFailure(code === 'ENOENT' ? `There is no file ${path}` : `${path} cannot be read (${code})`);
