import Type from 'typebox';
import { Grader } from '../formats/graders/grader.ts';
import { nullable } from '../formats/nullable.ts';

const examples = [{ type: 'string_check', name: 'exact', input: '{{sample.output_text}}', reference: '{{item.answer}}', operation: 'eq' }];

export const ValidateGrader = Type.Object(
  { grader: Grader },
  { additionalProperties: false, title: 'ValidateGrader', examples: examples.map((grader) => ({ grader })) },
);

export const RunGrader = Type.Object(
  {
    grader: Grader,
    model_sample: Type.String({ description: '`{{sample.output_text}}`, and `{{sample.output_json}}` if it is JSON.' }),
    item: Type.Optional(Type.Unknown({ description: '`{{item}}`: a line of the dataset.' })),
  },
  {
    additionalProperties: false,
    title: 'RunGrader',
    examples: examples.map((grader) => ({ grader, model_sample: '4', item: { answer: '4' } })),
  },
);

export const GraderValidation = Type.Object({ grader: Grader }, { title: 'GraderValidation' });

const flag = Type.Boolean();
export const GraderResult = Type.Object(
  {
    reward: Type.Number({ description: '0 if something went wrong: see `metadata.errors`.' }),
    sub_rewards: Type.Record(Type.String(), Type.Number(), { description: 'Of the graders in a `multi` grader, by name.' }),
    model_grader_token_usage_per_model: Type.Object({}),
    metadata: Type.Object(
      {
        name: Type.String(),
        type: Type.String(),
        scores: Type.Record(Type.String(), Type.Number()),
        execution_time: Type.Number({ description: 'Seconds.' }),
        sampled_model_name: nullable(Type.String()),
        token_usage: nullable(Type.Integer()),
        errors: Type.Object(
          {
            formula_parse_error: flag,
            invalid_variable_error: flag,
            sample_parse_error: flag,
            other_error: flag,
            other_error_details: nullable(Type.String({ description: 'What went wrong, in words.' })),
            truncated_observation_error: flag,
            unresponsive_reward_error: flag,
            model_grader_parse_error: flag,
            model_grader_refusal_error: flag,
            model_grader_server_error: flag,
            model_grader_server_error_details: nullable(Type.String()),
            python_grader_runtime_error: flag,
            python_grader_runtime_error_details: nullable(Type.String()),
            python_grader_server_error: flag,
            python_grader_server_error_type: nullable(Type.String()),
          },
          { title: 'GraderErrors', description: "OpenAI's. Those of models and programs are never set, because such graders are refused." },
        ),
      },
      { title: 'GraderMetadata' },
    ),
  },
  { title: 'GraderResult' },
);
