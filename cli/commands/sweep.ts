import type { Command } from 'commander';
import { contextOf } from '../context.ts';
import type { SweepOptions } from '../sweep/create.ts';
import type { ShowOptions } from '../sweep/show.ts';
import { collect, count } from './arguments.ts';
import { withJobOptions } from './job-options.ts';

export function addSweep(graft: Command): void {
  const sweep = graft.command('sweep').description('the same job with different settings: create, show, follow, cancel');
  withJobOptions(sweep.command('create <name>').description('create a job for each combination of settings'))
    .requiredOption('--vary <field=values>', 'a field and its values, separated by commas; repeatable', collect, [])
    .option('--sample <n>', 'draw so many of the combinations instead of all', count)
    .addHelpText('after', HELP)
    .action(async (name: string, options: SweepOptions, command: Command) => {
      const { createSweep } = await import('../sweep/create.ts');
      await createSweep(name, options, contextOf(command));
    });
  for (const [action, does] of Object.entries({
    show: 'show the jobs of a sweep, the best first',
    follow: 'wait until all jobs of a sweep have ended, and show them',
  })) {
    sweep
      .command(`${action} <name>`)
      .description(does)
      .option('--metric <name>', "a metric of the jobs' checkpoints", 'full_valid_loss')
      .option('--higher', 'the highest value is the best, not the lowest')
      .action(async (name: string, options: ShowOptions, command: Command) => {
        const { showSweep } = await import('../sweep/show.ts');
        await showSweep(name, { ...options, wait: action === 'follow' }, contextOf(command));
      });
  }
  sweep
    .command('cancel <name>')
    .description('cancel the jobs of a sweep that have not ended')
    .action(async (name: string, _options: object, command: Command) => {
      const { cancelSweep } = await import('../sweep/cancel.ts');
      await cancelSweep(name, contextOf(command));
    });
}

const HELP = `
Fields are those of the request (tuning.use_rslora), or, shorter: learning_rate and every other
hyperparameter, r, lora_alpha. The jobs have the metadata sweep=NAME. Running the same command again
creates only the jobs that are not there.

Examples:
  $ graft sweep create rates -f job.yaml --vary learning_rate=1e-4,2e-4,5e-4 --vary r=8,16
  $ graft sweep follow rates`;
