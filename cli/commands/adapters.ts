import type { Command } from 'commander';
import { contextOf } from '../context.ts';
import { count } from './arguments.ts';

export function addAdapters(graft: Command): void {
  graft
    .command('adapters')
    .description('what jobs deliver: download')
    .command('download <job-or-model>')
    .description('download the adapter, or the fully tuned model, of a job')
    .option('-o, --out <directory>', 'where to; default: adapter')
    .option('--step <n>', "a checkpoint's instead of the last", count)
    .addHelpText(
      'after',
      `
A download that was interrupted is continued where it stopped, and each file's SHA-256 is checked.
A checkpoint comes as one tar, which cannot be continued.

Examples:
  $ graft adapters download ftjob-abc123 --out adapter
  $ graft adapters download ft:graft-tiny:default:first:abc123`,
    )
    .action(async (name: string, { out = 'adapter', step }: { out?: string; step?: number }, command: Command) => {
      const { downloadAdapter } = await import('../adapters.ts');
      await downloadAdapter(name, { out, ...(step !== undefined && { step }) }, contextOf(command));
    });
}
