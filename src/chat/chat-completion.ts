/** `/v1/chat/completions`: from the request to what is generated, and from that to OpenAI's answer. */
import { jsonText } from '../formats/json-text.ts';
import { type JsonObject, type JsonValue, parseJsonValue } from '../formats/json-value.ts';
import { Refusal } from '../formats/refusal.ts';
import { reservedKwarg } from '../formats/template-kwargs.ts';
import { newChatCompletionId } from '../ids.ts';
import { jsonSchemaOf } from './answer-format.ts';
import { type Begun, headOf, sum, usageOf, type Written, written } from './ask.ts';
import type { ChatCompletion, ChatCompletionChunk, CreateChatCompletion } from './chat-schema.ts';
import type { ChosenLogprob, Generation, TokenLogprob } from './messages.ts';
import { samplingOf, stopOf } from './request-fields.ts';
import { DONE, dataOf } from './sse.ts';
import { type ToolCall, ToolCallReader } from './tool-calls.ts';

/**
 * @param bodyText the body, whose numbers a template prints as they were written
 * @throws Refusal
 */
export function chatGeneration(body: CreateChatCompletion, bodyText: string): Omit<Generation, 'model'> {
  const { max_completion_tokens: most, max_tokens: older, logprobs, top_logprobs: top } = body;
  if (most != null && older != null && most !== older)
    throw new Refusal('invalid_value', 'max_completion_tokens and max_tokens differ', {
      param: 'max_tokens',
      hint: 'Send max_completion_tokens alone.',
    });
  if (top != null && logprobs !== true)
    throw new Refusal('invalid_value', 'top_logprobs needs logprobs', { param: 'top_logprobs', hint: 'Send "logprobs": true.' });
  const reserved = reservedKwarg(Object.keys(body.chat_template_kwargs ?? {}));
  if (reserved !== null)
    throw new Refusal('invalid_value', `chat_template_kwargs has "${reserved}", which is not a variable of the template`, {
      param: `chat_template_kwargs.${reserved}`,
    });
  const form = formOf(bodyText);
  const text = (key: string): string | null => (form.get(key) == null ? null : jsonText(form.get(key)!));
  const hasTools = body.tool_choice !== 'none' && (body.tools ?? []).length > 0;
  return {
    id: newChatCompletionId(),
    prompts: [
      {
        kind: 'conversation',
        messages: jsonText((form.get('messages') as JsonObject[]).map(forTemplate)),
        tools: hasTools ? text('tools') : null,
        templateKwargs: text('chat_template_kwargs'),
      },
    ],
    promptParam: 'messages',
    answers: body.n ?? 1,
    sampling: samplingOf(body),
    maxTokens: most ?? older ?? null,
    stop: stopOf(body.stop),
    logprobs: logprobs === true ? (top ?? 0) : null,
    jsonSchema: jsonSchemaOf(body.response_format, { param: 'response_format', hasTools }),
  };
}

function formOf(bodyText: string): JsonObject {
  try {
    return parseJsonValue(bodyText) as JsonObject;
  } catch (error) {
    throw new Refusal('invalid_json', `The body cannot be read: ${(error as Error).message}`, { hint: 'Write long numbers as strings.' });
  }
}

/** Without what only an answer has, and without keys that are null. */
const forTemplate = (message: JsonObject): JsonObject =>
  new Map(
    [...message].filter(([key, value]: [string, JsonValue]) => key === 'content' || (value !== null && key !== 'refusal' && key !== 'annotations')),
  );

export async function chatCompletion(generation: Generation, begun: Begun): Promise<ChatCompletion> {
  const all = await written(begun, generation.answers);
  return {
    ...headOf(generation),
    object: 'chat.completion',
    choices: all.map((one, index) => choiceOf(one, { index, generation, begun })),
    usage: usageOf(begun, sum(all.map(({ tokens }) => tokens))),
  };
}

function choiceOf(
  one: Written,
  { index, generation, begun }: { index: number; generation: Generation; begun: Begun },
): ChatCompletion['choices'][number] {
  const reader = new ToolCallReader(begun.toolFormat);
  const text = reader.push(one.text).text + reader.end();
  const calls = reader.calls.map(callView);
  return {
    index,
    message: {
      role: 'assistant',
      content: text === '' && calls.length > 0 ? null : text,
      refusal: null,
      ...(calls.length > 0 && { tool_calls: calls }),
    },
    logprobs: logprobsView(one.logprobs, generation),
    finish_reason: finishReason(one, reader),
  };
}

const finishReason = ({ reason }: Pick<Written, 'reason'>, { calls }: ToolCallReader) =>
  calls.length > 0 && reason === 'stop' ? 'tool_calls' : reason;

const callView = ({ id, name, arguments: given }: ToolCall) => ({ id, type: 'function' as const, function: { name, arguments: given } });

const tokenView = ({ text, logprob, bytes }: TokenLogprob) => ({ token: text, logprob, bytes: [...bytes] });
export const logprobView = ({ top, ...token }: ChosenLogprob) => ({ ...tokenView(token), top_logprobs: top.map(tokenView) });
const logprobsView = (of: readonly ChosenLogprob[], { logprobs }: Pick<Generation, 'logprobs'>) =>
  logprobs === null ? null : { content: of.map(logprobView), refusal: null };

type ChunkChoice = ChatCompletionChunk['choices'][number];

/** The texts of a stream. @param withUsage ends with a chunk that has the usage and no choice */
export async function* chatChunks(generation: Generation, begun: Begun, withUsage: boolean): AsyncGenerator<string> {
  const common = { ...headOf(generation), object: 'chat.completion.chunk' as const };
  const chunk = (choices: ChunkChoice[], usage: ChatCompletionChunk['usage'] = null): string =>
    dataOf({ ...common, choices, ...(withUsage && { usage }) } satisfies ChatCompletionChunk);
  const choice = (index: number, delta: ChunkChoice['delta'], rest: Partial<ChunkChoice> = {}): string =>
    chunk([{ index, delta, logprobs: null, finish_reason: null, ...rest }]);

  const readers = Array.from({ length: generation.answers }, () => new ToolCallReader(begun.toolFormat));
  for (const index of readers.keys()) yield choice(index, { role: 'assistant', content: '' });
  let tokens = 0;
  for await (const answer of begun.answers) {
    if (answer.kind === 'piece') {
      const { text, calls } = readers[answer.index]!.push(answer.text);
      if (text !== '' || answer.logprobs.length > 0)
        yield choice(answer.index, { content: text }, { logprobs: logprobsView(answer.logprobs, generation) });
      const before = readers[answer.index]!.calls.length - calls.length;
      for (const [at, call] of calls.entries()) yield choice(answer.index, { tool_calls: [{ index: before + at, ...callView(call) }] });
    } else if (answer.kind === 'finished') {
      const reader = readers[answer.index]!;
      const rest = reader.end();
      if (rest !== '') yield choice(answer.index, { content: rest });
      tokens += answer.tokens;
      yield choice(answer.index, {}, { finish_reason: finishReason(answer, reader) });
    }
  }
  if (withUsage) yield chunk([], usageOf(begun, tokens));
  yield DONE;
}
