import Type, { type Static } from 'typebox';
import { nullable } from '../formats/nullable.ts';
import { literals, oneOf } from '../formats/one-of.ts';
import { ResponseFormat } from './answer-format.ts';
import { MAX_MESSAGES, MAX_TOOLS, toolChoice } from './chat-schema.ts';
import { callerFields, MAX_TOP_LOGPROBS, MaxTokens, Model, only, optional, samplingFields } from './request-fields.ts';

const InputPart = Type.Object(
  {
    type: literals(['input_text', 'output_text'], { description: 'Text alone: no model here sees images or files.' }),
    text: Type.String(),
    // An answer is sent back as it came.
    annotations: optional(Type.Array(Type.Unknown(), { maxItems: 0 })),
    logprobs: optional(Type.Array(Type.Unknown())),
  },
  { additionalProperties: false, title: 'InputPart' },
);

const status = optional(literals(['in_progress', 'completed', 'incomplete']));

const InputMessage = Type.Object(
  {
    type: Type.Optional(Type.Literal('message')),
    role: literals(['system', 'developer', 'user', 'assistant']),
    content: Type.Union([Type.String(), Type.Array(InputPart)]),
    id: optional(Type.String()),
    status,
  },
  { additionalProperties: false, title: 'InputMessage' },
);

const FunctionCallItem = Type.Object(
  { type: Type.Literal('function_call'), call_id: Type.String(), name: Type.String(), arguments: Type.String(), id: optional(Type.String()), status },
  { additionalProperties: false, title: 'FunctionCallItem' },
);

const FunctionOutputItem = Type.Object(
  { type: Type.Literal('function_call_output'), call_id: Type.String(), output: Type.String(), id: optional(Type.String()), status },
  { additionalProperties: false, title: 'FunctionOutputItem' },
);

const ResponseTool = Type.Object(
  {
    type: Type.Literal('function', { description: 'Tools of OpenAI, such as web_search, are not supported.' }),
    name: Type.String(),
    description: optional(Type.String()),
    parameters: optional(Type.Object({})),
    strict: optional(Type.Boolean()),
  },
  { additionalProperties: false, title: 'ResponseTool' },
);

export const CreateResponse = Type.Object(
  {
    ...samplingFields,
    ...callerFields,
    model: Model,
    input: Type.Union([
      Type.String(),
      Type.Array(Type.Union([InputMessage, FunctionCallItem, FunctionOutputItem]), { minItems: 1, maxItems: MAX_MESSAGES }),
    ]),
    instructions: optional(Type.String({ description: 'The system message.' })),
    max_output_tokens: optional(MaxTokens),
    tools: optional(Type.Array(ResponseTool, { maxItems: MAX_TOOLS, description: "Given to the model's chat template." })),
    tool_choice: toolChoice,
    include: optional(Type.Array(Type.Literal('message.output_text.logprobs'))),
    top_logprobs: optional(Type.Integer({ minimum: 0, maximum: MAX_TOP_LOGPROBS, description: 'With `include: ["message.output_text.logprobs"]`.' })),
    text: optional(
      Type.Object(
        {
          format: optional(ResponseFormat),
        },
        { additionalProperties: false, title: 'ResponseTextOptions' },
      ),
    ),
    stream: optional(Type.Boolean()),
    stream_options: optional(
      Type.Object({ include_obfuscation: only(false, 'Streams are not padded.') }, { additionalProperties: false, title: 'ResponseStreamOptions' }),
    ),
    store: only(false, 'Answers are not kept: send the whole conversation each time.'),
    background: only(false, 'Not supported.'),
    truncation: optional(Type.Literal('disabled', { description: 'A prompt that is too long is refused.' })),
    user: optional(Type.String({ maxLength: 512, description: 'Has no effect.' })),
  },
  {
    additionalProperties: false,
    title: 'CreateResponse',
    examples: [{ model: 'graft-tiny', input: 'What is the capital of France?', max_output_tokens: 4, temperature: 0 }],
  },
);
export type CreateResponse = Static<typeof CreateResponse>;

const TokenLogprob = Type.Object(
  { token: Type.String(), bytes: Type.Array(Type.Integer()), logprob: Type.Number() },
  { title: 'OutputTokenLogprob' },
);

const OutputText = Type.Object(
  {
    type: Type.Literal('output_text'),
    text: Type.String(),
    annotations: Type.Array(Type.Unknown()),
    logprobs: Type.Array(Type.Object({ ...TokenLogprob.properties, top_logprobs: Type.Array(TokenLogprob) }, { title: 'ChosenOutputTokenLogprob' })),
  },
  { title: 'OutputText' },
);

const itemStatus = oneOf(['in_progress', 'completed', 'incomplete']);

export const OutputMessage = Type.Object(
  { id: Type.String(), type: Type.Literal('message'), status: itemStatus, role: Type.Literal('assistant'), content: Type.Array(OutputText) },
  { title: 'OutputMessage' },
);
export const OutputFunctionCall = Type.Object(
  {
    id: Type.String(),
    type: Type.Literal('function_call'),
    status: itemStatus,
    call_id: Type.String(),
    name: Type.String(),
    arguments: Type.String({ description: 'JSON.' }),
  },
  { title: 'OutputFunctionCall' },
);

const count = Type.Integer();

export const ResponseObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('response'),
    created_at: Type.Integer(),
    status: oneOf(['in_progress', 'completed', 'incomplete', 'failed']),
    background: Type.Literal(false),
    error: nullable(Type.Object({ code: Type.String(), message: Type.String() }, { title: 'ResponseError' })),
    incomplete_details: nullable(Type.Object({ reason: oneOf(['max_output_tokens']) }, { title: 'IncompleteDetails' })),
    instructions: nullable(Type.String()),
    max_output_tokens: nullable(count),
    metadata: Type.Record(Type.String(), Type.String()),
    model: Type.String(),
    output: Type.Array(Type.Union([OutputMessage, OutputFunctionCall])),
    parallel_tool_calls: Type.Boolean(),
    previous_response_id: Type.Null(),
    reasoning: Type.Object({ effort: Type.Null(), summary: Type.Null() }, { title: 'ResponseReasoning' }),
    store: Type.Literal(false),
    temperature: Type.Number(),
    text: Type.Object({ format: ResponseFormat }, { title: 'ResponseText' }),
    tool_choice: Type.String(),
    tools: Type.Array(
      Type.Object(
        {
          type: Type.Literal('function'),
          name: Type.String(),
          description: nullable(Type.String()),
          parameters: nullable(Type.Record(Type.String(), Type.Unknown())),
          strict: nullable(Type.Boolean()),
        },
        { title: 'ResponseFunctionTool' },
      ),
    ),
    top_logprobs: Type.Integer(),
    top_p: Type.Number(),
    truncation: Type.Literal('disabled'),
    usage: nullable(
      Type.Object(
        {
          input_tokens: count,
          input_tokens_details: Type.Object({ cached_tokens: count }, { title: 'InputTokensDetails' }),
          output_tokens: count,
          output_tokens_details: Type.Object({ reasoning_tokens: count }, { title: 'OutputTokensDetails' }),
          total_tokens: count,
        },
        { title: 'ResponseUsage' },
      ),
    ),
  },
  { title: 'GeneratedResponse' },
);
export type ResponseObject = Static<typeof ResponseObject>;

export const ResponseEvent = Type.Object(
  {
    type: Type.String({ description: '`response.created`, `response.output_text.delta`, …, `response.completed`.' }),
    sequence_number: Type.Integer(),
  },
  { title: 'ResponseEvent', description: "OpenAI's events, with further fields by type." },
);
