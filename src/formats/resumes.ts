/** Resume certificates: for each time that a run was interrupted, where it stopped, what the next one loaded, and the first loss after. */
import { type Static, Type } from 'typebox';
import { HashedFile } from './hashed-file.ts';
import { nullable } from './nullable.ts';

/** In nats per supervised token. */
export const LossAfterResume = Type.Object({
  recorded: Type.Number({ description: 'Loss on a few training examples when the checkpoint was written, in nats per supervised token.' }),
  reloaded: Type.Number({ description: 'The same with the state as it was loaded.' }),
  difference: Type.Number(),
  tolerance: Type.Number({ description: 'Allowed difference; a checkpoint beyond it is not resumed from.' }),
});

export const Resume = Type.Object({
  attempt: Type.Integer({ description: 'Grows by one whenever a worker takes the job.' }),
  resumed_at: Type.Integer({ description: 'Unix seconds.' }),
  stopped_after_step: Type.Integer({
    description: 'The last step recorded before. Those after the checkpoint are done again, with the same result.',
  }),
  /** null: there was none to resume from, so the run began again. */
  checkpoint: nullable(
    Type.Object({
      step: Type.Integer(),
      name: Type.String({ description: 'The model name of the checkpoint, `ft:…:ckpt-step-N`.' }),
      files: Type.Array(HashedFile, {
        description: 'The state as it was read back; each hash is the one recorded when it was written. Empty for a checkpoint of an older version.',
      }),
      loss: nullable(LossAfterResume),
    }),
  ),
  /** The first step after the resume; null until it is done. */
  first_step: nullable(
    Type.Object({
      step: Type.Integer(),
      train_loss: nullable(Type.Number({ description: 'null if the step was left out because its loss was not finite.' })),
      recorded: nullable(
        Type.Number({ description: 'The loss of this step as it was recorded before the interruption; null if it was not reached.' }),
      ),
    }),
  ),
});
export type Resume = Static<typeof Resume>;

export const Resumes = Type.Object({ object: Type.Literal('fine_tuning.job.resumes'), data: Type.Array(Resume) }, { title: 'Resumes' });
export type Resumes = Static<typeof Resumes>;
