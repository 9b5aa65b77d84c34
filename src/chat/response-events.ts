/** The events by which a response is written, as OpenAI's clients put it together. */
import { newMessageId } from '../ids.ts';
import type { Begun } from './ask.ts';
import { logprobView } from './chat-completion.ts';
import type { ChosenLogprob, Generation } from './messages.ts';
import { callItem, type MessageItem, messageItem, responseView, textPart } from './response.ts';
import type { CreateResponse, ResponseObject } from './response-schema.ts';
import { eventOf } from './sse.ts';
import { type ToolCall, ToolCallReader } from './tool-calls.ts';

export async function* responseEvents(body: CreateResponse, generation: Generation, begun: Begun): AsyncGenerator<string> {
  let number = 0;
  const event = (type: string, fields: object): string => eventOf({ type, sequence_number: number++, ...fields });
  const begin = responseView(body, generation, begun, null);
  yield event('response.created', { response: begin });
  yield event('response.in_progress', { response: begin });

  const output: ResponseObject['output'] = [];
  const reader = new ToolCallReader(begun.toolFormat);
  /** The text that is being written. */
  let open: { id: string; text: string; logprobs: ChosenLogprob[] } | null = null;

  function* openText(): Generator<string> {
    open = { id: newMessageId(), text: '', logprobs: [] };
    yield event('response.output_item.added', { output_index: output.length, item: messageItem(open.id, 'in_progress', []) });
    yield event('response.content_part.added', { ...place(open.id), part: textPart('', []) });
  }

  function* write(text: string, logprobs: readonly ChosenLogprob[]): Generator<string> {
    if (text === '' && logprobs.length === 0) return;
    if (open === null) yield* openText();
    const { id } = open!;
    open!.text += text;
    open!.logprobs.push(...logprobs);
    yield event('response.output_text.delta', { ...place(id), delta: text, logprobs: logprobs.map(logprobView) });
  }
  const place = (id: string) => ({ item_id: id, output_index: output.length, content_index: 0 });

  function* close(status: MessageItem['status']): Generator<string> {
    if (open === null) return;
    const { id, text, logprobs } = open;
    const part = textPart(text, logprobs);
    const item = messageItem(id, status, [part]);
    yield event('response.output_text.done', { ...place(id), text, logprobs: part.logprobs });
    yield event('response.content_part.done', { ...place(id), part });
    yield event('response.output_item.done', { output_index: output.length, item });
    output.push(item);
    open = null;
  }

  function* call(one: ToolCall): Generator<string> {
    const item = callItem(one);
    const at = { item_id: item.id, output_index: output.length };
    yield event('response.output_item.added', { output_index: output.length, item: { ...item, status: 'in_progress', arguments: '' } });
    yield event('response.function_call_arguments.delta', { ...at, delta: one.arguments });
    yield event('response.function_call_arguments.done', { ...at, name: one.name, arguments: one.arguments });
    yield event('response.output_item.done', { output_index: output.length, item });
    output.push(item);
  }

  for await (const answer of begun.answers) {
    if (answer.kind === 'piece') {
      const { text, calls } = reader.push(answer.text);
      yield* write(text, answer.logprobs);
      if (calls.length > 0) yield* close('completed');
      for (const one of calls) yield* call(one);
    } else if (answer.kind === 'finished') {
      yield* write(reader.end(), []);
      const { reason, tokens } = answer;
      // An answer without a word is a message too.
      if (open === null && output.length === 0) yield* openText();
      yield* close(reason === 'length' ? 'incomplete' : 'completed');
      const end = responseView(body, generation, begun, { output, reason, tokens });
      yield event(end.status === 'incomplete' ? 'response.incomplete' : 'response.completed', { response: { ...end, created_at: begin.created_at } });
    }
  }
}
