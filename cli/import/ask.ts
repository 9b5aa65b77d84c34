import type OpenAI from 'openai';
import type { Question } from './question.ts';

export interface Recorded {
  question: Question;
  answer: string;
  /** Who answered. */
  model: string;
  finishReason: string | null;
  promptTokens: number | null;
  answerTokens: number | null;
}

/** Asks once, for the most probable answer. @throws APIError */
export async function record(
  question: Question,
  { client, model, maxTokens }: { client: OpenAI; model: string; maxTokens: number },
): Promise<Recorded> {
  const { messages, prompt, tools } = question;
  const common = { model, max_tokens: maxTokens, temperature: 0 };
  if (messages === null) {
    const { choices, usage } = await client.completions.create({ ...common, prompt: prompt! });
    return recorded(question, { model, answer: choices[0]?.text, finishReason: choices[0]?.finish_reason, usage });
  }
  const { choices, usage } = await client.chat.completions.create({ ...common, messages, ...(tools !== null && { tools }) });
  return recorded(question, { model, answer: choices[0]?.message.content, finishReason: choices[0]?.finish_reason, usage });
}

interface Made {
  model: string;
  answer: string | null | undefined;
  finishReason: string | undefined;
  usage: { prompt_tokens: number; completion_tokens: number } | undefined;
}

const recorded = (question: Question, { model, answer, finishReason, usage }: Made): Recorded => ({
  question,
  answer: answer ?? '',
  model,
  finishReason: finishReason ?? null,
  promptTokens: usage?.prompt_tokens ?? null,
  answerTokens: usage?.completion_tokens ?? null,
});
