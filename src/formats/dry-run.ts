/** What a dry run measured: two real optimizer steps on the largest batch that the job can have, and one checkpoint, of which nothing is kept. */
import { type Static, Type } from 'typebox';
import { count } from './count.ts';
import { LearningRates } from './learning-rate-finder.ts';
import { MemoryEstimate } from './memory-estimate.ts';
import { nullable } from './nullable.ts';

const seconds = (description: string) => Type.Number({ minimum: 0, description });

const DryRunBatch = Type.Object(
  {
    examples: count("The file's longest examples, as many as a step takes: no step of the job has more tokens."),
    tokens: count('Tokens of these examples, without padding.'),
    longest_tokens: count('Tokens of the longest one, after truncation.'),
    passes: Type.Array(Type.Object({ rows: count('Rows of the pass.'), length: count('Padded tokens of each row.') }), {
      description: 'The forward and backward passes into which the step is split.',
    }),
  },
  { title: 'DryRunBatch' },
);

const DryRunMemory = Type.Object(
  {
    peak_bytes: count('The most that the training process held of the main memory, from its start to the end of the dry run.'),
    device_peak_bytes: nullable(count("The same of a GPU's memory; null: not measured.")),
    estimate: nullable(Type.Unsafe<MemoryEstimate>({ ...MemoryEstimate, description: 'What the formula gives for the same passes; null on a GPU.' })),
    estimate_error: nullable(Type.Number({ description: 'estimate.total_bytes / peak_bytes − 1' })),
  },
  { title: 'DryRunMemory' },
);

const DryRunSeconds = Type.Object(
  {
    first_step: seconds('Including what happens once: the graph is prepared for its first batch.'),
    step: seconds('The second step.'),
    checkpoint: seconds('Writing one checkpoint to the local disk.'),
    preparation: seconds('Reading and tokenising the data, recording the graph, loading the weights.'),
    training: seconds("All optimizer steps, at the second step's tokens per second."),
    evaluation: seconds('All evaluations on the validation file; 0 without one.'),
    answers: Type.Optional(
      seconds(
        'All answers to sample prompts and evaluated examples, which were given once; 0 without any. Reports of older versions do not have it.',
      ),
    ),
    checkpoints: seconds('All checkpoints, on the local disk; storing them is not included.'),
    total: seconds('Preparation, training, evaluation, answers and checkpoints. Waiting for a worker, downloads and the proof are not included.'),
  },
  { title: 'DryRunSeconds' },
);

export const DryRun = Type.Object(
  {
    object: Type.Literal('fine_tuning.job.dry_run'),
    hyperparameters: Type.Any({ description: 'As resolved.' }),
    tuning: Type.Any({ description: 'As resolved.' }),
    total_steps: count('Optimizer steps of the job.'),
    total_tokens: count('Tokens that the job would train on, counted again in every epoch.'),
    trained_parameters: count('Parameters that are trained.'),
    total_parameters: count('Parameters of the base and of what the method adds.'),
    batch: DryRunBatch,
    tokens_per_second: Type.Number({ description: 'Of the second step, without padding.' }),
    seconds: DryRunSeconds,
    memory: DryRunMemory,
    delivered_bytes: count("Size of the adapter's (or the model's) weights on disk."),
    checkpoint_bytes: count('Size of a checkpoint.'),
    learning_rates: Type.Optional(LearningRates),
  },
  { title: 'DryRun' },
);
export type DryRun = Static<typeof DryRun>;
