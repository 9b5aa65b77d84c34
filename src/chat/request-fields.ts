/** Fields that requests for text have in common, and how they are understood. */
import { randomInt } from 'node:crypto';
import Type, { type Static } from 'typebox';
import { nullable } from '../formats/nullable.ts';
import { Refusal } from '../formats/refusal.ts';
import type { SamplingChoice } from './messages.ts';

/** Answers to all prompts of a request together: a worker continues eight sequences at once. */
export const MAX_SEQUENCES = 16;
/** Longest text that ends an answer. */
const MAX_STOP_LENGTH = 256;
/** OpenAI takes four. */
const MAX_STOPS = 16;
/** Tokens whose logits a request changes. */
const MAX_BIASES = 1_024;
export const MAX_TOP_LOGPROBS = 20;
const LARGEST_SEED = 2 ** 32 - 1;
/** Longest name of a model: a hub's name, an organization, a suffix and an id fit. */
const MAX_MODEL_LENGTH = 512;

export const optional = <T extends Type.TSchema>(schema: T) => Type.Optional(nullable(schema));
/** A field of OpenAI's that has one meaning here. */
export const only = <T extends string | number | boolean>(value: T, why: string) => optional(Type.Literal(value, { description: why }));

export const Model = Type.String({
  minLength: 1,
  maxLength: MAX_MODEL_LENGTH,
  description: 'A base model, a tuned model or a checkpoint (`ft:…:ckpt-step-N`).',
});
export const MaxTokens = Type.Integer({
  minimum: 1,
  description: 'Default: as many as the worker allows (CHAT_MAX_TOKENS) and the context has room for.',
});
export const Count = Type.Integer({ minimum: 1, maximum: MAX_SEQUENCES, description: 'Answers to each prompt.' });

export const samplingFields = {
  temperature: optional(Type.Number({ minimum: 0, maximum: 2, description: '0 takes the most probable token each time; default 1.' })),
  top_p: optional(Type.Number({ minimum: 0, maximum: 1 })),
  top_k: optional(Type.Integer({ minimum: 0, maximum: 1_000_000, description: 'Number of most probable tokens kept; 0 keeps all. Not of OpenAI.' })),
  min_p: optional(
    Type.Number({ minimum: 0, maximum: 1, description: 'Keeps tokens at least this fraction as probable as the most probable. Not of OpenAI.' }),
  ),
};

export const completionFields = {
  ...samplingFields,
  model: Model,
  n: optional(Count),
  seed: optional(
    Type.Integer({ minimum: -LARGEST_SEED, maximum: LARGEST_SEED, description: 'The same seed and request give the same answer of the same model.' }),
  ),
  stop: optional(
    Type.Union([
      Type.String({ minLength: 1, maxLength: MAX_STOP_LENGTH }),
      Type.Array(Type.String({ minLength: 1, maxLength: MAX_STOP_LENGTH }), { maxItems: MAX_STOPS }),
    ]),
  ),
  logit_bias: optional(
    Type.Record(Type.String({ pattern: '^\\d{1,9}$' }), Type.Number({ minimum: -100, maximum: 100 }), {
      maxProperties: MAX_BIASES,
      description: "Added to a token's logit, by id.",
    }),
  ),
  stream: optional(Type.Boolean()),
  stream_options: optional(
    Type.Object(
      { include_usage: optional(Type.Boolean()), include_obfuscation: only(false, 'Streams are not padded.') },
      { additionalProperties: false, title: 'StreamOptions' },
    ),
  ),
  frequency_penalty: only(0, 'Not supported.'),
  presence_penalty: only(0, 'Not supported.'),
  user: optional(Type.String({ maxLength: 512, description: 'Has no effect.' })),
};

/** Fields by which callers are told apart at OpenAI. */
export const callerFields = {
  safety_identifier: optional(Type.String({ maxLength: 512, description: 'Has no effect.' })),
  prompt_cache_key: optional(Type.String({ maxLength: 512, description: 'Has no effect.' })),
  metadata: optional(Type.Record(Type.String(), Type.String(), { maxProperties: 16, description: 'Not kept.' })),
  service_tier: optional(Type.Union([Type.Literal('auto'), Type.Literal('default')])),
  parallel_tool_calls: only(true, 'A model calls as many tools at once as it likes.'),
};

type Sampling = Static<ReturnType<typeof Type.Object<typeof samplingFields>>> & {
  seed?: number | null;
  logit_bias?: Record<string, number> | null;
};

export const samplingOf = ({ temperature, top_p: topP, top_k: topK, min_p: minP, seed, logit_bias: bias }: Sampling): SamplingChoice => ({
  temperature: temperature ?? 1,
  topP: topP ?? 1,
  topK: topK ?? 0,
  minP: minP ?? 0,
  seed: (seed ?? randomInt(LARGEST_SEED)) >>> 0,
  logitBias: Object.entries(bias ?? {}).map(([id, value]) => [Number(id), value]),
});

export const stopOf = (stop: string | string[] | null | undefined): string[] => (typeof stop === 'string' ? [stop] : (stop ?? []));

/** @throws Refusal for `stream_options` without `stream` */
export function wantsUsage({
  stream,
  stream_options: options,
}: {
  stream?: boolean | null;
  stream_options?: { include_usage?: boolean | null } | null;
}): boolean {
  if (options != null && stream !== true)
    throw new Refusal('invalid_value', 'stream_options needs stream', { param: 'stream_options', hint: 'Send "stream": true, or leave it out.' });
  return options?.include_usage === true;
}
