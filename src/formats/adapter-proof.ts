/** The adapter proof: what was found when a job's delivered files were read back from storage and loaded. */
import { type Static, Type } from 'typebox';
import { HashedFile } from './hashed-file.ts';
import { nullable } from './nullable.ts';

/** Nats per supervised token, absolute, by which the loss with the delivered files may differ from the live model's. */
export const LOSS_TOLERANCE = 1e-3;

/** What the training process found; null is what could not be measured because of a problem before it. */
export const ProofFindings = Type.Object({
  tensors: nullable(
    Type.Object({
      count: Type.Integer(),
      parameters: Type.Integer(),
      finite: Type.Boolean({ description: 'Every value of every tensor.' }),
    }),
  ),
  effect: nullable(
    Type.Object({
      prompts: Type.Integer({ description: "Examples' beginnings, up to what the model learns to write." }),
      largest_difference: Type.Number({ description: 'Of a logit of the next token, with the delivered files and with the base model alone.' }),
    }),
  ),
  loss: nullable(
    Type.Object({
      measured_on: Type.Union([Type.Literal('validation_file'), Type.Literal('training_sample')]),
      examples: Type.Integer(),
      live: Type.Number({
        description: 'Of the model that was trained, nats per supervised token; of one stored in 16 bits, with its weights rounded so.',
      }),
      delivered: Type.Number({ description: 'Of the base model with the delivered files.' }),
      difference: Type.Number(),
      tolerance: Type.Number({ description: 'Absolute, nats.' }),
    }),
  ),
  problems: Type.Array(Type.String(), { description: 'What differs; empty when the proof passed.' }),
  seconds: Type.Number(),
});
export type ProofFindings = Static<typeof ProofFindings>;

export const AdapterProof = Type.Object(
  {
    object: Type.Literal('fine_tuning.job.proof'),
    passed: Type.Boolean(),
    created_at: Type.Integer({ description: 'Unix seconds.' }),
    files: Type.Array(HashedFile, { description: 'As they were read back from storage.' }),
    ...ProofFindings.properties,
  },
  { title: 'AdapterProof' },
);
export type AdapterProof = Static<typeof AdapterProof>;
