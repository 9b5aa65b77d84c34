import Type from 'typebox';
import { count } from '../formats/count.ts';
import { SamplePrompt } from '../formats/evaluations.ts';
import { oneOf } from '../formats/one-of.ts';
import { after, limit } from '../http/list-schema.ts';

export const SampleObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('fine_tuning.job.sample'),
    created_at: Type.Integer(),
    step_number: count('Steps done; 0: the model as training found it.'),
    prompt_index: count("Place of the prompt in the job's `sample_prompts`, from 0."),
    prompt: SamplePrompt,
    text: Type.String({ description: 'What the model wrote, without a random choice: the most probable token each time.' }),
    tokens: count('Of the text.'),
    finish_reason: oneOf(['stop', 'length'], {
      description: '`stop`: the model ended the text; `length`: `max_completion_tokens` or its context did.',
    }),
  },
  { title: 'FineTuningJobSample' },
);

export const SampleQuery = Type.Object(
  {
    after,
    limit: limit(20),
    prompt_index: Type.Optional(Type.Integer({ minimum: 0, description: 'Only answers to this prompt.' })),
    step_number: Type.Optional(
      Type.Integer({ minimum: 0, description: 'Only answers after this step; 0: those of the model as training found it.' }),
    ),
  },
  { additionalProperties: false },
);
