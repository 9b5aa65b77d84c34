/** One answer of a model, as it is made. */
import type { ChatCompletionChunk, ChatCompletionMessageParam } from 'openai/resources/chat/completions';
import type { Service } from '../service.ts';

/** How the answer is chosen; what is left out is the service's choice. */
export interface AnswerOptions {
  temperature?: number;
  topP?: number;
  maxTokens?: number;
  seed?: number;
  stop: string[];
}

export interface Answer {
  text: string;
  finishReason: string | null;
  usage: ChatCompletionChunk['usage'];
}

interface Question {
  model: string;
  messages: ChatCompletionMessageParam[];
  options: AnswerOptions;
}

/** @param onText gets each piece. An answer that `signal` stops is what there was of it. @throws APIError */
export async function answer(
  { model, messages, options }: Question,
  { service: { client }, signal, onText }: { service: Service; signal?: AbortSignal; onText(text: string): void },
): Promise<Answer> {
  const { temperature, topP, maxTokens, seed, stop } = options;
  const chunks = await client.chat.completions.create(
    {
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
      ...(temperature !== undefined && { temperature }),
      ...(topP !== undefined && { top_p: topP }),
      ...(maxTokens !== undefined && { max_tokens: maxTokens }),
      ...(seed !== undefined && { seed }),
      ...(stop.length > 0 && { stop }),
    },
    { signal },
  );
  const made: Answer = { text: '', finishReason: null, usage: null };
  for await (const { choices, usage } of chunks) {
    const piece = choices[0]?.delta.content ?? '';
    made.text += piece;
    made.finishReason = choices[0]?.finish_reason ?? made.finishReason;
    made.usage = usage ?? made.usage;
    if (piece !== '') onText(piece);
  }
  return made;
}
