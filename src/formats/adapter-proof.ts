/** The adapter proof: what was found when a job's delivered files were read back from storage and loaded. */
import { type Static, Type } from 'typebox';
import { HashedFile } from './hashed-file.ts';
import { nullable } from './nullable.ts';
import { LossAfterResume } from './resumes.ts';

/** Largest absolute difference allowed between the losses of the delivered files and of the live model, in nats per supervised token. */
export const LOSS_TOLERANCE = 1e-3;

/** What the training process found; null where an earlier problem made a measurement impossible. */
export const ProofFindings = Type.Object({
  tensors: nullable(
    Type.Object({
      count: Type.Integer(),
      parameters: Type.Integer(),
      finite: Type.Boolean({ description: 'Whether every value of every tensor is finite.' }),
    }),
  ),
  effect: nullable(
    Type.Object({
      prompts: Type.Integer({ description: 'Beginnings of examples, up to the first supervised token.' }),
      largest_difference: Type.Number({
        description: 'Largest difference in a next-token logit between the delivered files and the base model alone.',
      }),
    }),
  ),
  loss: nullable(
    Type.Object({
      measured_on: Type.Union([Type.Literal('validation_file'), Type.Literal('training_sample')]),
      examples: Type.Integer(),
      live: Type.Number({
        description: 'Loss of the trained model in nats per supervised token; if it is stored in 16 bits, with its weights rounded to them.',
      }),
      delivered: Type.Number({ description: 'Loss of the base model with the delivered files.' }),
      difference: Type.Number(),
      tolerance: Type.Number({ description: 'Allowed absolute difference, nats.' }),
    }),
  ),
  problems: Type.Array(Type.String(), { description: 'What is wrong; empty if the proof passed.' }),
  seconds: Type.Number(),
});
export type ProofFindings = Static<typeof ProofFindings>;

export const AdapterProof = Type.Object(
  {
    object: Type.Literal('fine_tuning.job.proof'),
    passed: Type.Boolean(),
    created_at: Type.Integer({ description: 'Unix seconds.' }),
    files: Type.Array(HashedFile, { description: 'The files as read back from storage.' }),
    resumes: Type.Optional(
      Type.Array(Type.Object({ step: Type.Integer(), ...LossAfterResume.properties }), {
        description: 'For each checkpoint that the run resumed from, the loss recorded with it and the loss with its state loaded.',
      }),
    ),
    ...ProofFindings.properties,
  },
  { title: 'AdapterProof' },
);
export type AdapterProof = Static<typeof AdapterProof>;
