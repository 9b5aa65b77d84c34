import { type Command, InvalidArgumentError, Option } from 'commander';
import { contextOf } from '../context.ts';
import type { SweepOptions } from '../sweep/create.ts';
import { collect, count, pair } from './arguments.ts';
import { withJobOptions } from './job-options.ts';

export function addSweep(graft: Command): void {
  const sweep = graft.command('sweep').description('the same job with different settings: create, list, show, follow, cancel, delete');
  withJobOptions(sweep.command('create <name>').description('create a sweep: the service creates its jobs, and names the best one'))
    .requiredOption('--vary <field=values>', 'a field and its values, separated by commas, or its range MIN..MAX; repeatable', collect, [])
    .option('--sample <n>', 'draw so many jobs instead of all combinations', count)
    .option('--halving <steps>', 'successive halving: compare the jobs after so many steps; the best train on, and are compared again', count)
    .option('--eta <n>', 'of successive halving: one in so many trains on; default: 3', count)
    .option('--budget <what=n>', 'steps=N or tokens=N of all jobs together', budget)
    .option('--metric <name>', 'what the jobs are compared by; default: full_valid_loss')
    .addOption(new Option('--mode <mode>', 'which value is the best; default: the lowest loss, the highest of all else').choices(['min', 'max']))
    .option('--follow', 'watch it until it ends')
    .addHelpText('after', HELP)
    .action(async (name: string, options: SweepOptions, command: Command) => {
      const { createSweep } = await import('../sweep/create.ts');
      await createSweep(name, options, contextOf(command));
    });
  sweep
    .command('list')
    .description('list sweeps, newest first')
    .option('--limit <n>', 'how many', count, 20)
    .action(async (options: { limit: number }, command: Command) => {
      const { listSweeps } = await import('../sweep/show.ts');
      await listSweeps(options, contextOf(command));
    });
  sweep
    .command('show <sweep>')
    .description('show a sweep and its jobs, the best first')
    .action(async (name: string, _options: object, command: Command) => {
      const { showSweep } = await import('../sweep/show.ts');
      await showSweep(name, contextOf(command));
    });
  sweep
    .command('follow <sweep>')
    .description('wait until a sweep has ended, and show it')
    .action(async (name: string, _options: object, command: Command) => {
      const { followSweep } = await import('../sweep/show.ts');
      await followSweep(name, contextOf(command));
    });
  sweep
    .command('cancel <sweep>')
    .description('cancel the jobs of a sweep that have not ended, and create no further one')
    .action(async (name: string, _options: object, command: Command) => {
      const { idOf, sweepPath } = await import('../sweep/sweep.ts');
      const { output, service: connect } = contextOf(command);
      const service = await connect();
      const id = await idOf(name, service);
      const cancelled = await service.client.post<{ status: string }>(`${sweepPath(id)}/cancel`);
      output.result(cancelled, `${id} is ${cancelled.status}`);
    });
  sweep
    .command('delete <sweep>')
    .description('delete a sweep with its jobs and all that they made')
    .option('--keep-winner', "keep the best one's job, and its model")
    .action(async (name: string, { keepWinner }: { keepWinner?: boolean }, command: Command) => {
      const { idOf, sweepPath } = await import('../sweep/sweep.ts');
      const { output, service: connect } = contextOf(command);
      const service = await connect();
      const id = await idOf(name, service);
      output.result(await service.client.delete(sweepPath(id), keepWinner ? { query: { keep_winner: true } } : {}), `${id} is deleted`);
    });
}

function budget(text: string): [string, string] {
  const [what, amount] = pair(text);
  count(amount);
  if (what !== 'steps' && what !== 'tokens') throw new InvalidArgumentError('It must be steps=N or tokens=N.');
  return [what, amount];
}

const HELP = `
Fields are those of the request (tuning.use_rslora), or, shorter: learning_rate and every other
hyperparameter, r, lora_alpha. A range is written MIN..MAX, with :log if it is drawn evenly in its
logarithm and :integer for whole numbers; it needs --sample. Sweeps are named by their id, or by
their name: the newest of that name. Values that have commas themselves are written as in YAML.

Examples:
  $ graft sweep create rates -f job.yaml --vary learning_rate=1e-4,2e-4,5e-4 --vary r=8,16
  $ graft sweep create wide -f job.yaml --vary learning_rate=1e-5..1e-2:log --sample 9 --halving 20
  $ graft sweep create methods -f job.yaml --vary 'tuning={type: lora, r: 8},{type: full}'
  $ graft sweep follow rates`;
