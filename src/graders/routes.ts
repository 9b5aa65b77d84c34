import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Static } from 'typebox';
import { type Graded, prepareGrader } from '../formats/graders/run.ts';
import { namespacesOf } from '../formats/graders/template.ts';
import { GraderResult, GraderValidation, RunGrader, ValidateGrader } from './schema.ts';

const tags = ['Graders'];

/** `/v1/fine_tuning/alpha/graders` */
export const graderRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/fine_tuning/alpha/graders/run',
    { schema: { tags, operationId: 'runGrader', summary: 'Grade one sample', body: RunGrader, response: { 200: GraderResult } } },
    async ({ body: { grader, model_sample, item } }) => {
      const grade = prepareGrader(grader);
      const startedMs = performance.now();
      const graded = grade(namespacesOf(item, model_sample));
      return resultView(grader, graded, (performance.now() - startedMs) / 1000);
    },
  );

  app.post(
    '/fine_tuning/alpha/graders/validate',
    { schema: { tags, operationId: 'validateGrader', summary: 'Check a grader', body: ValidateGrader, response: { 200: GraderValidation } } },
    async ({ body: { grader } }) => {
      prepareGrader(grader);
      return { grader };
    },
  );
};

function resultView(
  { name, type }: { name: string; type: string },
  { reward, scores, problem }: Graded,
  seconds: number,
): Static<typeof GraderResult> {
  const errors = {
    formula_parse_error: false, // refused before anything runs
    invalid_variable_error: problem?.flag === 'invalid_variable_error',
    sample_parse_error: problem?.flag === 'sample_parse_error',
    other_error: problem?.flag === 'other_error',
    other_error_details: problem?.details ?? null,
    truncated_observation_error: false,
    unresponsive_reward_error: false,
    model_grader_parse_error: false,
    model_grader_refusal_error: false,
    model_grader_server_error: false,
    model_grader_server_error_details: null,
    python_grader_runtime_error: false,
    python_grader_runtime_error_details: null,
    python_grader_server_error: false,
    python_grader_server_error_type: null,
  };
  return {
    reward,
    sub_rewards: scores,
    model_grader_token_usage_per_model: {},
    metadata: { name, type, scores, execution_time: seconds, sampled_model_name: null, token_usage: null, errors },
  };
}
