/** `graft chat` */
import { createInterface } from 'node:readline/promises';
import type { ChatCompletionMessageParam } from 'openai/resources/chat/completions';
import type { Context } from '../context.ts';
import { EXIT, usageFailure } from '../exit-code.ts';
import { reportOf } from '../reported.ts';
import type { Service } from '../service.ts';
import { textOfStdin } from '../terminal/ask.ts';
import { safe } from '../terminal/text.ts';
import { type AnswerOptions, answer } from './answer.ts';

export interface ChatOptions extends AnswerOptions {
  system?: string;
}

type Messages = ChatCompletionMessageParam[];

/** @param words what is asked; empty: stdin, or a conversation where a person types */
export async function chat(model: string, words: string, options: ChatOptions, { service: connect, output }: Context): Promise<void> {
  const service = await connect();
  const isConversation = words === '' && process.stdin.isTTY;
  if (isConversation) {
    if (output.isJson) throw usageFailure('A conversation has no result for --json', 'Ask one question: graft chat MODEL WORDS --json');
    // An unknown model is said before the first question.
    await service.client.models.retrieve(model);
    return converse(model, options, { service, output });
  }
  const content = words === '' ? (await textOfStdin()).trimEnd() : words;
  if (content === '') throw usageFailure('There is no question', 'Write it after the model, or send it to stdin.');
  const messages: Messages = [...opening(options), { role: 'user', content }];
  const made = await answer(
    { model, messages, options },
    { service, onText: (text) => (output.isJson ? undefined : process.stdout.write(output.isTerminal ? safe(text) : text)) },
  );
  if (output.isJson) output.result({ model, content: made.text, finish_reason: made.finishReason, usage: made.usage }, '');
  else process.stdout.write('\n');
  if (made.finishReason === 'length') output.note(output.tint('dim', '(cut: --max-tokens allows more)'));
}

const opening = ({ system }: ChatOptions): Messages => (system === undefined ? [] : [{ role: 'system', content: system }]);

async function converse(model: string, options: ChatOptions, { service, output }: { service: Service; output: Context['output'] }): Promise<void> {
  let messages = opening(options);
  const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: output.tint('cyan', '> ') });
  let answering: AbortController | null = null;
  lines.on('SIGINT', () => {
    if (answering !== null) return answering.abort();
    process.exitCode = EXIT.interrupted;
    lines.close();
  });
  output.note(output.tint('dim', `${model} · /reset forgets the conversation, /system TEXT starts it anew, /exit ends it`));
  lines.prompt();
  for await (const line of lines) {
    const text = line.trim();
    if (text === '/exit' || text === '/quit') break;
    if (text === '/reset') messages = opening(options);
    else if (text.startsWith('/system ')) messages = [{ role: 'system', content: text.slice('/system '.length) }];
    else if (text.startsWith('/')) output.note('There are /reset, /system TEXT and /exit.');
    else if (text !== '') {
      answering = new AbortController();
      const asked: Messages = [...messages, { role: 'user', content: text }];
      const { signal } = answering;
      try {
        const made = await answer({ model, messages: asked, options }, { service, signal, onText: (piece) => process.stdout.write(safe(piece)) });
        process.stdout.write('\n');
        if (signal.aborted) output.note(output.tint('dim', '(stopped; the conversation goes on without this question)'));
        else messages = [...asked, { role: 'assistant', content: made.text }];
      } catch (error) {
        if (signal.aborted) process.stdout.write('\n');
        else output.note(`${output.tint('red', 'graft:')} ${safe(reportOf(error, service.url).message)}`);
      }
      answering = null;
    }
    lines.prompt();
  }
  lines.close();
}
