import Type, { type Static } from 'typebox';
import { nullable } from '../formats/nullable.ts';
import { oneOf } from '../formats/one-of.ts';
import { Usage } from './chat-schema.ts';
import { completionFields, MAX_SEQUENCES, MAX_TOP_LOGPROBS, MaxTokens, only, optional } from './request-fields.ts';

/** OpenAI's. */
export const DEFAULT_MAX_TOKENS = 16;
const LARGEST_TOKEN = 2 ** 31 - 1;

const Tokens = Type.Array(Type.Integer({ minimum: 0, maximum: LARGEST_TOKEN }), { minItems: 1 });

export const CreateCompletion = Type.Object(
  {
    ...completionFields,
    prompt: Type.Union(
      [
        Type.String(),
        Type.Array(Type.String(), { minItems: 1, maxItems: MAX_SEQUENCES }),
        Tokens,
        Type.Array(Tokens, { minItems: 1, maxItems: MAX_SEQUENCES }),
      ],
      { description: 'A text, token ids, or several of either.' },
    ),
    max_tokens: optional(MaxTokens),
    logprobs: optional(Type.Integer({ minimum: 0, maximum: MAX_TOP_LOGPROBS })),
    best_of: only(1, 'Not supported: ask for several answers with n.'),
    echo: only(false, 'Not supported.'),
  },
  {
    additionalProperties: false,
    title: 'CreateCompletion',
    examples: [{ model: 'graft-tiny', prompt: 'The capital of France is', max_tokens: 3, temperature: 0 }],
  },
);
export type CreateCompletion = Static<typeof CreateCompletion>;

const Logprobs = Type.Object(
  {
    tokens: Type.Array(Type.String()),
    token_logprobs: Type.Array(Type.Number()),
    top_logprobs: nullable(Type.Array(Type.Record(Type.String(), Type.Number()))),
    text_offset: Type.Array(Type.Integer()),
  },
  { title: 'CompletionLogprobs' },
);

export const Completion = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('text_completion'),
    created: Type.Integer(),
    model: Type.String(),
    choices: Type.Array(
      Type.Object(
        {
          index: Type.Integer(),
          text: Type.String(),
          logprobs: nullable(Logprobs),
          finish_reason: nullable(oneOf(['stop', 'length'], { description: 'null in a stream until the end.' })),
        },
        { title: 'CompletionChoice' },
      ),
    ),
    usage: Type.Optional(nullable(Usage)),
    system_fingerprint: Type.Null(),
  },
  { title: 'Completion', description: 'In a stream, each event is one of these, with the next piece of the text; the last event is `[DONE]`.' },
);
export type Completion = Static<typeof Completion>;
