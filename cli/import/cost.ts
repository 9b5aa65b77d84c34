/** What golden answers can cost at most. */
import { type Question, questionBytes } from './question.ts';

export interface Price {
  /** US dollars for a million tokens. */
  input: number;
  output: number;
}

/** OpenAI's list prices for tuned models, by the beginning of the base's name, the longest first. They change: --price has the last word. */
const PRICES: readonly (readonly [string, Price])[] = [
  ['gpt-4.1-nano', { input: 0.2, output: 0.8 }],
  ['gpt-4.1-mini', { input: 0.8, output: 3.2 }],
  ['gpt-4.1', { input: 3, output: 12 }],
  ['gpt-4o-mini', { input: 0.3, output: 1.2 }],
  ['gpt-4o', { input: 3.75, output: 15 }],
  ['gpt-3.5-turbo', { input: 3, output: 6 }],
  ['davinci-002', { input: 12, output: 12 }],
  ['babbage-002', { input: 1.6, output: 1.6 }],
];

export const priceOf = (baseModel: string): Price | null => PRICES.find(([start]) => baseModel.startsWith(start))?.[1] ?? null;

export interface Bound {
  questions: number;
  inputTokens: number;
  outputTokens: number;
  /** null where no price is known. */
  dollars: number | null;
}

/** Roles and marks around a message. */
const TOKENS_AROUND = 16;

export function boundOf(questions: readonly Question[], { maxTokens, price }: { maxTokens: number; price: Price | null }): Bound {
  const messages = (question: Question) => (question.messages?.length ?? 0) + 1;
  const inputTokens = questions.reduce((sum, question) => sum + questionBytes(question) + TOKENS_AROUND * messages(question), 0);
  const outputTokens = questions.length * maxTokens;
  const dollars = price === null ? null : (inputTokens * price.input + outputTokens * price.output) / 1e6;
  return { questions: questions.length, inputTokens, outputTokens, dollars };
}

export const sumOf = (bounds: readonly Bound[]): Bound =>
  bounds.reduce(
    (sum, bound) => ({
      questions: sum.questions + bound.questions,
      inputTokens: sum.inputTokens + bound.inputTokens,
      outputTokens: sum.outputTokens + bound.outputTokens,
      dollars: sum.dollars === null || bound.dollars === null ? null : sum.dollars + bound.dollars,
    }),
    { questions: 0, inputTokens: 0, outputTokens: 0, dollars: 0 } as Bound,
  );

/** Cents, and less where it is less. */
export const dollarsText = (dollars: number): string => `$${dollars >= 0.01 || dollars === 0 ? dollars.toFixed(2) : dollars.toPrecision(1)}`;
