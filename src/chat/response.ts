/** `/v1/responses`: one answer, whole. Its events are in response-events.ts. */
import { jsonText } from '../formats/json-text.ts';
import { toJsonValue } from '../formats/json-value.ts';
import { Refusal } from '../formats/refusal.ts';
import { unixSeconds } from '../formats/unix-seconds.ts';
import { newFunctionCallId, newMessageId, newResponseId } from '../ids.ts';
import { jsonSchemaOf } from './answer-format.ts';
import { type Begun, usageOf, written } from './ask.ts';
import { logprobView } from './chat-completion.ts';
import type { ChosenLogprob, Generation } from './messages.ts';
import { samplingOf } from './request-fields.ts';
import type { CreateResponse, ResponseObject } from './response-schema.ts';
import { type ToolCall, ToolCallReader } from './tool-calls.ts';

/** @throws Refusal */
export function responseGeneration(body: CreateResponse): Omit<Generation, 'model'> {
  const wantsLogprobs = (body.include ?? []).length > 0;
  if (body.top_logprobs != null && !wantsLogprobs)
    throw new Refusal('invalid_value', 'top_logprobs needs include', {
      param: 'top_logprobs',
      hint: 'Send "include": ["message.output_text.logprobs"].',
    });
  const tools = body.tool_choice === 'none' ? [] : (body.tools ?? []);
  return {
    id: newResponseId(),
    prompts: [
      {
        kind: 'conversation',
        messages: jsonText(toJsonValue(messagesOf(body))),
        tools: tools.length === 0 ? null : jsonText(toJsonValue(tools.map(({ type, ...described }) => ({ type, function: withoutNull(described) })))),
        templateKwargs: null,
      },
    ],
    promptParam: 'input',
    answers: 1,
    sampling: samplingOf(body),
    maxTokens: body.max_output_tokens ?? null,
    stop: [],
    logprobs: wantsLogprobs ? (body.top_logprobs ?? 0) : null,
    jsonSchema: jsonSchemaOf(body.text?.format, { param: 'text.format', hasTools: tools.length > 0 }),
  };
}

const withoutNull = (object: object): object => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null));

/** The items of a response as messages of a chat: calls in a row are those of one message. */
function messagesOf({ input, instructions }: CreateResponse): object[] {
  const system = instructions == null ? [] : [{ role: 'system', content: instructions }];
  if (typeof input === 'string') return [...system, { role: 'user', content: input }];
  const messages: object[] = [...system];
  let calls: object[] | null = null;
  for (const item of input) {
    if (item.type === 'function_call') {
      if (calls === null) {
        calls = [];
        messages.push({ role: 'assistant', content: null, tool_calls: calls });
      }
      calls.push({ id: item.call_id, type: 'function', function: { name: item.name, arguments: item.arguments } });
      continue;
    }
    calls = null;
    if (item.type === 'function_call_output') messages.push({ role: 'tool', tool_call_id: item.call_id, content: item.output });
    else messages.push({ role: item.role, content: typeof item.content === 'string' ? item.content : item.content.map(({ text }) => text).join('') });
  }
  return messages;
}

type Output = ResponseObject['output'][number];
export type MessageItem = Extract<Output, { type: 'message' }>;
export type CallItem = Extract<Output, { type: 'function_call' }>;
type Status = MessageItem['status'];

export const textPart = (text: string, logprobs: readonly ChosenLogprob[]): MessageItem['content'][number] => ({
  type: 'output_text',
  text,
  annotations: [],
  logprobs: logprobs.map(logprobView),
});

export const messageItem = (id: string, status: Status, content: MessageItem['content']): MessageItem => ({
  id,
  type: 'message',
  status,
  role: 'assistant',
  content,
});

export const callItem = ({ id: callId, name, arguments: given }: ToolCall): CallItem => ({
  id: newFunctionCallId(),
  type: 'function_call',
  status: 'completed',
  call_id: callId,
  name,
  arguments: given,
});

interface End {
  output: Output[];
  reason: 'stop' | 'length';
  tokens: number;
}

/** @param end null while it is being written */
export function responseView(body: CreateResponse, { id, model }: Generation, begun: Begun, end: End | null): ResponseObject {
  const usage = end && usageOf(begun, end.tokens);
  return {
    id,
    object: 'response',
    created_at: unixSeconds(new Date()),
    status: end === null ? 'in_progress' : end.reason === 'length' ? 'incomplete' : 'completed',
    background: false,
    error: null,
    incomplete_details: end?.reason === 'length' ? { reason: 'max_output_tokens' } : null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    metadata: body.metadata ?? {},
    model: model.name,
    output: end?.output ?? [],
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    store: false,
    temperature: body.temperature ?? 1,
    text: { format: body.text?.format ?? { type: 'text' } },
    tool_choice: body.tool_choice ?? 'auto',
    tools: (body.tools ?? []).map(({ type, name, description = null, parameters = null, strict = null }) => ({
      type,
      name,
      description,
      parameters: parameters as Record<string, unknown> | null,
      strict,
    })),
    top_logprobs: body.top_logprobs ?? 0,
    top_p: body.top_p ?? 1,
    truncation: 'disabled',
    usage: usage && {
      input_tokens: usage.prompt_tokens,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: usage.completion_tokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: usage.total_tokens,
    },
  };
}

export async function response(body: CreateResponse, generation: Generation, begun: Begun): Promise<ResponseObject> {
  const [one] = await written(begun, 1);
  const { text: given, reason, tokens, logprobs } = one!;
  const reader = new ToolCallReader(begun.toolFormat);
  const text = reader.push(given).text + reader.end();
  const status = reason === 'length' ? 'incomplete' : 'completed';
  const message = text === '' && reader.calls.length > 0 ? [] : [messageItem(newMessageId(), status, [textPart(text, logprobs)])];
  return responseView(body, generation, begun, { output: [...message, ...reader.calls.map(callItem)], reason, tokens });
}
