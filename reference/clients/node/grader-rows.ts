import type OpenAI7 from 'openai7';
import { expectMatch, expectRefusal } from './matching.ts';
import type { Row } from './setting.ts';

type Grader = OpenAI7.FineTuning.Alpha.GraderRunParams['grader'];

const equal: Grader = { type: 'string_check', name: 'equal', operation: 'eq', input: '{{sample.output_text}}', reference: '{{item.answer}}' };
const similar: Grader = {
  type: 'text_similarity',
  name: 'similar',
  evaluation_metric: 'fuzzy_match',
  input: '{{sample.output_text}}',
  reference: '{{item.answer}}',
};
const both = { type: 'multi', name: 'both', graders: { equal, similar }, calculate_output: '0.5 * equal + 0.5 * similar' } as unknown as Grader;
const judged: Grader = { type: 'score_model', name: 'judged', model: 'gpt-4o', input: [{ role: 'user', content: 'Grade {{sample.output_text}}' }] };

const RUN = {
  reward: Number,
  sub_rewards: {},
  model_grader_token_usage_per_model: {},
  metadata: {
    name: String,
    type: String,
    execution_time: Number,
    scores: {},
    errors: { other_error: false, sample_parse_error: false, formula_parse_error: false },
  },
};

export const graderRows: Row[] = [
  [
    'fineTuning.alpha.graders.run',
    'of a comparison',
    async ({ client }) => {
      const run = (model_sample: string) => client.fineTuning.alpha.graders.run({ grader: equal, item: { answer: 'Paris' }, model_sample });
      expectMatch(await run('Paris'), { ...RUN, reward: 1 });
      expectMatch(await run('Rome'), { ...RUN, reward: 0 });
    },
  ],
  [
    'fineTuning.alpha.graders.run',
    'of a similarity',
    async ({ client }) => {
      const { reward } = await client.fineTuning.alpha.graders.run({ grader: similar, item: { answer: 'abcd' }, model_sample: 'abce' });
      // rapidfuzz's ratio of two texts that differ in one of four letters
      expectMatch(Math.abs(reward - 0.75) < 1e-9, true);
    },
  ],
  [
    'fineTuning.alpha.graders.run',
    'of several graders',
    async ({ client }) =>
      expectMatch(await client.fineTuning.alpha.graders.run({ grader: both, item: { answer: 'Paris' }, model_sample: 'Paris' }), {
        ...RUN,
        reward: 1,
      }),
  ],
  [
    'fineTuning.alpha.graders.validate',
    'of each that needs no other model',
    async ({ client }) => {
      for (const grader of [equal, similar, both])
        expectMatch(await client.fineTuning.alpha.graders.validate({ grader }), { grader: { type: grader.type, name: grader.name } });
    },
  ],
  [
    'fineTuning.alpha.graders.validate',
    'of one that needs another model',
    async ({ client, openai }) =>
      expectRefusal(client.fineTuning.alpha.graders.validate({ grader: judged }), openai.BadRequestError, { message: /string_check/ }),
  ],
];
