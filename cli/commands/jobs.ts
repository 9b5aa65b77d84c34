import type { Command } from 'commander';
import { contextOf } from '../context.ts';
import { usageFailure } from '../exit-code.ts';
import type { JobFlags } from '../jobs/request.ts';
import { collectPairs, count } from './arguments.ts';
import { withJobOptions } from './job-options.ts';

interface CreateOptions extends JobFlags {
  estimate?: boolean;
  follow?: boolean;
}

export function addJobs(graft: Command): void {
  const jobs = graft.command('jobs').description('fine-tuning jobs: create, follow, list, pause, resume, cancel, delete');
  addCreate(jobs);
  jobs
    .command('follow <job>')
    .description('watch a job until it ends: progress, curves, events')
    .addHelpText(
      'after',
      `
Ends with 0 if the job succeeded, 1 if it failed or was cancelled. Ctrl-C stops watching; the job
runs on. When the service is away, it is asked again until it is back, and no event is missed.
With --json, each event is a line, and the job the last one.

Example:
  $ graft jobs follow ftjob-abc123 && graft adapters download ftjob-abc123`,
    )
    .action(async (id: string, _options: object, command: Command) => {
      const { follow } = await import('../follow/follow.ts');
      await follow(id, contextOf(command));
    });
  jobs
    .command('list')
    .description('list jobs, newest first')
    .option('--limit <n>', 'how many', count, 20)
    .option('--metadata <key=value>', 'only jobs that have it; repeatable', collectPairs, {})
    .action(async (options: { limit: number; metadata: Record<string, string> }, command: Command) => {
      const { listJobs } = await import('../jobs/shown.ts');
      await listJobs(options, contextOf(command));
    });
  jobs
    .command('show <job>')
    .description('show a job, with its checkpoints and last events')
    .action(async (id: string, _options: object, command: Command) => {
      const { showJob } = await import('../jobs/shown.ts');
      await showJob(id, contextOf(command));
    });
  for (const [action, does] of Object.entries(ACTIONS)) {
    jobs
      .command(`${action} <job...>`)
      .description(does)
      .action(async (ids: string[], _options: object, command: Command) => {
        const { act } = await import('../jobs/act.ts');
        await act(action, ids, contextOf(command));
      });
  }
  jobs
    .command('delete <job...>')
    .description('delete jobs with all that they made')
    .action(async (ids: string[], _options: object, command: Command) => {
      const { output, service } = contextOf(command);
      const { client } = await service();
      for (const id of ids) output.item(await client.delete(`/fine_tuning/jobs/${encodeURIComponent(id)}`), `${id} is deleted`);
    });
}

const ACTIONS = {
  pause: 'pause jobs: a checkpoint is written, and the worker is free',
  resume: 'resume jobs that are paused or have failed, from their newest checkpoint',
  cancel: 'end jobs; their last checkpoint stays',
};

function addCreate(jobs: Command): void {
  const command = jobs.command('create').description('create a job from options, a YAML file, or both');
  withJobOptions(command)
    .option('--dry-run', 'measure what the job would need, and train nothing')
    .option('--estimate', 'say what the job would need, and create nothing')
    .option('--follow', 'watch the job until it ends')
    .addHelpText('after', CREATE_HELP)
    .action(async (options: CreateOptions, command: Command) => {
      if (options.estimate && (options.follow || options.dryRun))
        throw usageFailure('--estimate creates no job, so it goes with neither --follow nor --dry-run');
      const context = contextOf(command);
      if (options.estimate) return (await import('../jobs/estimate.ts')).estimate(options, context);
      await (await import('../jobs/create.ts')).create(options, context);
    });
}

const CREATE_HELP = `
A file has the fields of POST /v1/fine_tuning/jobs (docs/jobs.md). training_file, validation_file,
evaluation_file, retention_file and start_from may be paths too, relative to it, and are uploaded:

  model: graft-tiny
  training_file: train.jsonl
  validation_file: validation.jsonl
  method:
    type: supervised
    supervised:
      hyperparameters: { n_epochs: 3, learning_rate: 2e-4 }
  tuning: { type: lora, r: 16 }

Examples:
  $ graft jobs create --model graft-tiny --training-file train.jsonl --follow
  $ graft jobs create -f job.yaml --learning-rate 1e-4 --set tuning.use_dora=true
  $ JOB=$(graft jobs create -f job.yaml)`;
