/** The scores of a job's evaluations: of the model as training found it, and of the tuned one. */
import { type Static, Type } from 'typebox';
import { count } from './count.ts';
import { nullable } from './nullable.ts';

const Evaluated = Type.Object(
  {
    name: Type.String({ description: 'Its metric is `eval_{name}`.' }),
    type: Type.String(),
    base: Type.Number({ description: 'Mean reward of the model as training found it: the base model, or the one that the job continues.' }),
    tuned: nullable(Type.Number({ description: 'Mean reward after `step`; null before the first evaluation.' })),
    difference: nullable(Type.Number({ description: 'tuned − base' })),
    ungraded: count('Answers that could not be graded when the model was last asked, and count as 0.'),
    problem: nullable(Type.String({ description: 'Why the first of these could not be graded.' })),
  },
  { title: 'Evaluated' },
);

export const EvaluationReport = Type.Object(
  {
    object: Type.Literal('fine_tuning.job.evaluations'),
    step: count('Steps done when the model was last asked.'),
    examples: count('Examples that were answered.'),
    left_out: count('Examples before these that were left out, because their prompt fills the context of the model.'),
    seconds: Type.Number({ description: 'Time that the last answers took, those to sample prompts included.' }),
    data: Type.Array(Evaluated),
  },
  { title: 'EvaluationReport' },
);
export type EvaluationReport = Static<typeof EvaluationReport>;
