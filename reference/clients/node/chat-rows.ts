import { expectMatch, expectRefusal } from './matching.ts';
import type { Row } from './setting.ts';

const QUESTION = 'What is the capital of France?';
const ANSWER = 'The capital of France is Paris.';
const asked = { model: 'graft-tiny', messages: [{ role: 'user' as const, content: QUESTION }], temperature: 0 };
const COMPLETION = {
  id: /^chatcmpl-/,
  object: 'chat.completion',
  created: Number,
  model: 'graft-tiny',
  choices: [{ index: 0, message: { role: 'assistant', content: ANSWER, refusal: null }, logprobs: null, finish_reason: 'stop' }],
  usage: { prompt_tokens: Number, completion_tokens: Number, total_tokens: Number },
};
const RESPONSE = { id: /^resp_/, object: 'response', status: 'completed', model: 'graft-tiny', output_text: ANSWER, error: null };

export const chatRows: Row[] = [
  ['chat.completions.create', 'of a base model', async ({ client }) => expectMatch(await client.chat.completions.create(asked), COMPLETION)],
  [
    'chat.completions.create',
    'of a tuned model and its checkpoint',
    async ({ client, trained }) => {
      const { id, fine_tuned_model } = await trained();
      const { data } = await client.fineTuning.jobs.checkpoints.list(id);
      for (const model of [fine_tuned_model!, data[0]!.fine_tuned_model_checkpoint]) {
        const { choices } = await client.chat.completions.create({ ...asked, model, max_completion_tokens: 8 });
        expectMatch(choices, [{ message: { role: 'assistant', content: String } }]);
      }
    },
  ],
  [
    'chat.completions.create',
    'with stream, piece by piece, with its usage',
    async ({ client }) => {
      let text = '';
      let tokens: number | undefined;
      for await (const { choices, usage } of await client.chat.completions.create({
        ...asked,
        stream: true,
        stream_options: { include_usage: true },
      })) {
        text += choices[0]?.delta.content ?? '';
        tokens = usage?.completion_tokens;
      }
      expectMatch([text, tokens], [ANSWER, Number]);
    },
  ],
  [
    'chat.completions.create',
    'with n, seed, stop and logprobs',
    async ({ client }) => {
      const body = { ...asked, n: 2, seed: 1, stop: [' of'], logprobs: true, top_logprobs: 2 };
      const choice = {
        message: { content: 'The capital' },
        logprobs: { content: [{ token: 'The', logprob: Number, top_logprobs: [{ token: 'The' }, {}] }, { token: ' capital' }] },
      };
      expectMatch((await client.chat.completions.create(body)).choices, [choice, choice]);
    },
  ],
  [
    'chat.completions.create',
    'of an unknown model, and with a prompt that is too long',
    async ({ client, openai }) => {
      const create = (body: object) => client.chat.completions.create({ ...asked, ...body });
      await expectRefusal(create({ model: 'none' }), openai.NotFoundError, { code: 'model_not_found' });
      const messages = [{ role: 'user', content: 'word '.repeat(20_000) }];
      await expectRefusal(create({ messages }), openai.BadRequestError, { code: 'context_length_exceeded' });
    },
  ],
  ['chat.completions.stream', 'to its end', async ({ client }) => expectMatch(await client.chat.completions.stream(asked).finalContent(), ANSWER)],
  [
    'chat.completions.parse',
    'of text',
    async ({ client }) => expectMatch((await client.chat.completions.parse(asked)).choices, [{ message: { content: ANSWER, parsed: null } }]),
  ],
  [
    'chat.completions.runTools',
    'with a tool that the model does not call',
    async ({ client }) => {
      const weather = { name: 'weather', description: '', parameters: { type: 'object' }, function: () => 'sun' };
      const runner = client.chat.completions.runTools({ ...asked, tools: [{ type: 'function', function: weather }] });
      expectMatch(await runner.finalContent(), String);
    },
  ],
  [
    'completions.create',
    'of two texts',
    async ({ client }) => {
      const { choices } = await client.completions.create({ model: 'graft-tiny', prompt: ['The', 'A'], max_tokens: 2, temperature: 0, logprobs: 1 });
      const choice = { text: String, finish_reason: 'length', logprobs: { token_logprobs: [Number, Number] } };
      expectMatch(choices, [
        { ...choice, index: 0 },
        { ...choice, index: 1 },
      ]);
    },
  ],
  [
    'responses.create',
    'of a base model',
    async ({ client }) => expectMatch(await client.responses.create({ model: 'graft-tiny', input: QUESTION, temperature: 0 }), RESPONSE),
  ],
  [
    'responses.create',
    'with stream, event by event',
    async ({ client }) => {
      const types = [];
      for await (const { type } of await client.responses.create({ model: 'graft-tiny', input: QUESTION, stream: true })) types.push(type);
      expectMatch([types[0], types.at(-1)], ['response.created', 'response.completed']);
    },
  ],
  [
    'responses.stream',
    'to its end',
    async ({ client }) => {
      const stream = client.responses.stream({ model: 'graft-tiny', input: [{ role: 'user', content: QUESTION }], temperature: 0 });
      expectMatch(await stream.finalResponse(), RESPONSE);
    },
  ],
  [
    'responses.parse',
    'of text',
    async ({ client }) => expectMatch(await client.responses.parse({ model: 'graft-tiny', input: QUESTION, temperature: 0 }), RESPONSE),
  ],
];
