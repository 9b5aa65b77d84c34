import Type from 'typebox';
import { count } from '../formats/count.ts';
import { MemoryEstimate } from '../formats/memory-estimate.ts';
import { nullable } from '../formats/nullable.ts';
import { CreateJob } from '../jobs/schema.ts';

export const EstimateRequest = Type.Object(
  {
    ...CreateJob.properties,
    training_file: Type.Optional(
      nullable(
        Type.String({ minLength: 1, description: 'The id of a file with purpose `fine-tune`; without one, nothing is said of steps and tokens.' }),
      ),
    ),
  },
  {
    additionalProperties: false,
    title: 'EstimateRequest',
    description: 'What a job would be created with; only the model is required.',
    examples: [{ model: 'graft-tiny', tuning: { type: 'lora', r: 8 } }],
  },
);
export type EstimateRequest = Type.Static<typeof EstimateRequest>;

export const FittingWorker = Type.Object(
  {
    id: Type.String(),
    device: Type.String(),
    memory_bytes: nullable(
      count("What a training process may have of its main memory: the machine's, its container's or TRAINING_MEMORY_LIMIT; null on a GPU."),
    ),
    has_model: Type.Boolean({ description: 'Whether it has the base model; otherwise it would have to download it.' }),
    fits: nullable(Type.Boolean({ description: 'Whether the peak is within its memory; null if that is not known.' })),
  },
  { title: 'FittingWorker' },
);

const EstimatedData = Type.Object(
  {
    examples: count('Of the file; extrapolated for one that is longer than 16 MB and still being read.'),
    tokens: count('By the length of its texts, at four characters a token; only the tokenizer knows.'),
    longest_tokens: count('Of the longest example, in the same way, but at most max_length.'),
    total_steps: count('Optimizer steps of the job.'),
    total_tokens: count('Tokens of all epochs.'),
  },
  { title: 'EstimatedData' },
);

export const Estimate = Type.Object(
  {
    object: Type.Literal('fine_tuning.estimate'),
    model: Type.String(),
    tuning: Type.Any({ description: 'As resolved.' }),
    trained_parameters: count('Exact.'),
    total_parameters: count('Of the base and of what the method adds; exact.'),
    delivered_bytes: count("Size of the adapter's (or the model's) weights on disk; exact."),
    memory: MemoryEstimate,
    data: nullable(Type.Unsafe<Type.Static<typeof EstimatedData>>({ ...EstimatedData, description: 'null if no file is named.' })),
    workers: Type.Array(FittingWorker, { description: 'The workers that are running.' }),
    assumptions: Type.Array(Type.String(), { description: 'What the request leaves open, and how it was understood.' }),
  },
  { title: 'Estimate' },
);
export type Estimate = Type.Static<typeof Estimate>;
