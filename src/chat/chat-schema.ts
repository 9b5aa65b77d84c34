import Type, { type Static } from 'typebox';
import { nullable } from '../formats/nullable.ts';
import { literals, oneOf } from '../formats/one-of.ts';
import { ChatFormat } from './answer-format.ts';
import { callerFields, completionFields, MAX_TOP_LOGPROBS, MaxTokens, only, optional } from './request-fields.ts';

/** A longer conversation is taken for a mistake, as in a dataset. */
export const MAX_MESSAGES = 4_096;
export const MAX_TOOLS = 128;
const MAX_CALLS = 128;

const TextPart = Type.Object({ type: Type.Literal('text'), text: Type.String() }, { additionalProperties: false, title: 'TextPart' });

const Message = Type.Object(
  {
    role: literals(['system', 'developer', 'user', 'assistant', 'tool']),
    content: optional(Type.Union([Type.String(), Type.Array(TextPart)])),
    name: optional(Type.String()),
    tool_calls: optional(
      Type.Array(
        Type.Object(
          {
            id: Type.String(),
            type: Type.Literal('function'),
            function: Type.Object({ name: Type.String(), arguments: Type.String() }, { additionalProperties: false }),
          },
          { additionalProperties: false, title: 'MessageToolCall' },
        ),
        { maxItems: MAX_CALLS },
      ),
    ),
    tool_call_id: optional(Type.String()),
    reasoning_content: optional(Type.String({ description: 'For templates that read it.' })),
    // An answer is sent back as it came.
    refusal: optional(Type.String()),
    annotations: optional(Type.Array(Type.Unknown(), { maxItems: 0 })),
  },
  { additionalProperties: false, title: 'ConversationMessage' },
);

const Tool = Type.Object(
  {
    type: Type.Literal('function'),
    function: Type.Object(
      { name: Type.String(), description: optional(Type.String()), parameters: optional(Type.Object({})), strict: optional(Type.Boolean()) },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false, title: 'FunctionTool' },
);

export const toolChoice = Type.Optional(
  nullable(literals(['auto', 'none'], { description: 'With "none" the template gets no tools. A model cannot be made to call one.' })),
);

export const CreateChatCompletion = Type.Object(
  {
    ...completionFields,
    ...callerFields,
    messages: Type.Array(Message, { minItems: 1, maxItems: MAX_MESSAGES }),
    max_completion_tokens: optional(MaxTokens),
    max_tokens: optional(MaxTokens),
    logprobs: optional(Type.Boolean()),
    top_logprobs: optional(Type.Integer({ minimum: 0, maximum: MAX_TOP_LOGPROBS })),
    tools: optional(Type.Array(Tool, { maxItems: MAX_TOOLS, description: "Given to the model's chat template." })),
    tool_choice: toolChoice,
    chat_template_kwargs: optional(Type.Object({}, { description: 'Variables for the chat template. Not of OpenAI.' })),
    response_format: optional(ChatFormat),
    modalities: optional(Type.Array(Type.Literal('text'))),
    store: only(false, 'Answers are not kept.'),
  },
  {
    additionalProperties: false,
    title: 'CreateChatCompletion',
    examples: [{ model: 'graft-tiny', messages: [{ role: 'user', content: 'What is the capital of France?' }], max_tokens: 4, temperature: 0 }],
  },
);
export type CreateChatCompletion = Static<typeof CreateChatCompletion>;

const TopLogprob = Type.Object(
  { token: Type.String(), logprob: Type.Number(), bytes: nullable(Type.Array(Type.Integer())) },
  { title: 'TokenLogprob' },
);
const Logprobs = Type.Object(
  {
    content: nullable(Type.Array(Type.Object({ ...TopLogprob.properties, top_logprobs: Type.Array(TopLogprob) }, { title: 'ChosenTokenLogprob' }))),
    refusal: Type.Null(),
  },
  { title: 'ChoiceLogprobs' },
);

const ToolCall = Type.Object(
  {
    id: Type.String(),
    type: Type.Literal('function'),
    function: Type.Object({ name: Type.String(), arguments: Type.String({ description: 'JSON.' }) }, { title: 'CalledFunction' }),
  },
  { title: 'ToolCall' },
);

export const Usage = Type.Object(
  { prompt_tokens: Type.Integer(), completion_tokens: Type.Integer(), total_tokens: Type.Integer() },
  { title: 'CompletionUsage' },
);

const finishReason = oneOf(['stop', 'length', 'tool_calls']);

export const ChatCompletion = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('chat.completion'),
    created: Type.Integer(),
    model: Type.String(),
    choices: Type.Array(
      Type.Object(
        {
          index: Type.Integer(),
          message: Type.Object(
            {
              role: Type.Literal('assistant'),
              content: nullable(Type.String()),
              refusal: Type.Null(),
              tool_calls: Type.Optional(Type.Array(ToolCall)),
            },
            { title: 'ChatCompletionMessage' },
          ),
          logprobs: nullable(Logprobs),
          finish_reason: finishReason,
        },
        { title: 'ChatCompletionChoice' },
      ),
    ),
    usage: Usage,
    system_fingerprint: Type.Null(),
  },
  { title: 'ChatCompletion' },
);
export type ChatCompletion = Static<typeof ChatCompletion>;

/** One of the events of a stream. */
export const ChatCompletionChunk = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('chat.completion.chunk'),
    created: Type.Integer(),
    model: Type.String(),
    choices: Type.Array(
      Type.Object(
        {
          index: Type.Integer(),
          delta: Type.Object(
            {
              role: Type.Optional(Type.Literal('assistant')),
              content: Type.Optional(Type.String()),
              tool_calls: Type.Optional(Type.Array(Type.Object({ index: Type.Integer(), ...ToolCall.properties }, { title: 'ToolCallDelta' }))),
            },
            { title: 'ChatCompletionDelta' },
          ),
          logprobs: nullable(Logprobs),
          finish_reason: nullable(finishReason),
        },
        { title: 'ChatCompletionChunkChoice' },
      ),
    ),
    usage: Type.Optional(nullable(Usage)),
    system_fingerprint: Type.Null(),
  },
  { title: 'ChatCompletionChunk', description: 'The last event is `[DONE]`.' },
);
export type ChatCompletionChunk = Static<typeof ChatCompletionChunk>;
