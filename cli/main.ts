/** `graft`: the command line of the service. It knows the public API alone; what it shares with the service are the formats. */
import { Command, CommanderError } from 'commander';
import { addAdapters } from './commands/adapters.ts';
import { addChat } from './commands/chat.ts';
import { addCompletion } from './commands/completion.ts';
import { addDoctor } from './commands/doctor.ts';
import { addExport } from './commands/export.ts';
import { addFiles } from './commands/files.ts';
import { addImport } from './commands/import.ts';
import { addJobs } from './commands/jobs.ts';
import { addLogin } from './commands/login.ts';
import { addModels } from './commands/models.ts';
import { addSweep } from './commands/sweep.ts';
import { EXIT } from './exit-code.ts';
import { findConnection } from './settings.ts';
import { painterFor } from './terminal/text.ts';

const EPILOGUE = `
Examples:
  $ graft login                                   keep the address and the key of a service
  $ graft jobs create --model graft-tiny --training-file train.jsonl --follow
  $ graft jobs follow ftjob-…                     watch a job: progress, curves, events
  $ graft adapters download ftjob-… --out adapter

Exit codes: 0 done; 1 refused or failed; 2 the command line cannot be understood; 3 the service does not answer; 4 no key, or not allowed;
130 interrupted. docs/cli.md says more.`;

function program(): Command {
  const graft = new Command('graft')
    .description('Tune models on your own machines: files, jobs, adapters, chat.')
    .option('--json', 'print results as JSON, for programs')
    .option('--url <address>', 'the service (also GRAFT_URL; its key: GRAFT_API_KEY)')
    .addHelpText('after', EPILOGUE)
    .configureHelp({ showGlobalOptions: true })
    .showSuggestionAfterError()
    .showHelpAfterError('See `graft --help`, or `graft COMMAND --help`.')
    .exitOverride();
  for (const add of [addLogin, addFiles, addJobs, addModels, addChat, addAdapters, addExport, addSweep, addImport, addDoctor]) add(graft);
  addCompletion(graft);
  return graft;
}

/** @param argv as Node has it. Sets the exit code */
export async function main(argv: readonly string[]): Promise<void> {
  // A reader that has seen enough (`graft jobs list | head`) closes the pipe.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(EXIT.done);
  });
  const graft = program();
  try {
    await graft.parseAsync(argv);
  } catch (error) {
    process.exitCode = await tell(error, graft.opts<{ json?: boolean; url?: string }>());
  }
}

/** @returns the exit code */
async function tell(error: unknown, { json, url }: { json?: boolean; url?: string }): Promise<number> {
  // Commander has written the message, or the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  const { reportOf } = await import('./reported.ts');
  const { safe } = await import('./terminal/text.ts');
  const connection = await findConnection(url).catch(() => null);
  const { exitCode, message, hint, code, param, requestId } = reportOf(error, connection?.url ?? null);
  const paint = painterFor(process.stderr);
  if (json) process.stderr.write(`${JSON.stringify({ error: { message, hint, code, param, request_id: requestId, exit_code: exitCode } })}\n`);
  else process.stderr.write(`${paint('red', 'graft:')} ${safe(message)}${hint === null ? '' : `\n  ${safe(hint)}`}\n`);
  if (process.env['DEBUG'] && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return exitCode;
}
