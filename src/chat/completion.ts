/** `/v1/completions`: texts continued as they are. */
import { Refusal } from '../formats/refusal.ts';
import { newCompletionId } from '../ids.ts';
import { type Begun, headOf, sum, usageOf, written } from './ask.ts';
import { type Completion, type CreateCompletion, DEFAULT_MAX_TOKENS } from './completion-schema.ts';
import type { ChosenLogprob, Generation, Prompt } from './messages.ts';
import { MAX_SEQUENCES, samplingOf, stopOf } from './request-fields.ts';
import { DONE, dataOf } from './sse.ts';

/** @throws Refusal */
export function completionGeneration(body: CreateCompletion): Omit<Generation, 'model'> {
  const prompts = promptsOf(body.prompt);
  const answers = body.n ?? 1;
  if (prompts.length * answers > MAX_SEQUENCES)
    throw new Refusal(
      'invalid_value',
      `${prompts.length} prompts with ${answers} answers each are asked for; the limit is ${MAX_SEQUENCES} answers`,
      {
        param: 'n',
        hint: 'Send several requests.',
      },
    );
  return {
    id: newCompletionId(),
    prompts,
    promptParam: 'prompt',
    answers,
    sampling: samplingOf(body),
    maxTokens: body.max_tokens ?? DEFAULT_MAX_TOKENS,
    stop: stopOf(body.stop),
    logprobs: body.logprobs ?? null,
  };
}

function promptsOf(prompt: CreateCompletion['prompt']): Prompt[] {
  if (typeof prompt === 'string') return [{ kind: 'text', text: prompt }];
  if (isTokens(prompt)) return [{ kind: 'tokens', tokenIds: prompt }];
  return prompt.map((one) => (typeof one === 'string' ? { kind: 'text', text: one } : { kind: 'tokens', tokenIds: one }));
}

const isTokens = (prompt: string[] | number[] | number[][]): prompt is number[] => typeof prompt[0] === 'number';

const head = (generation: Generation) => ({ ...headOf(generation), object: 'text_completion' as const });

export async function completion(generation: Generation, begun: Begun): Promise<Completion> {
  const all = await written(begun, generation.prompts.length * generation.answers);
  const choices = all.map(({ text, reason, logprobs }, index) => ({
    index,
    text,
    logprobs: generation.logprobs === null ? null : logprobsView(logprobs, 0),
    finish_reason: reason,
  }));
  return { ...head(generation), choices, usage: usageOf(begun, sum(all.map(({ tokens }) => tokens))) };
}

/** @param offset of the first token in the answer */
function logprobsView(of: readonly ChosenLogprob[], offset: number) {
  let end = offset;
  return {
    tokens: of.map(({ text }) => text),
    token_logprobs: of.map(({ logprob }) => logprob),
    top_logprobs: of.map(({ top }) => Object.fromEntries(top.map(({ text, logprob }) => [text, logprob]))),
    text_offset: of.map(({ text }) => {
      const start = end;
      end += text.length;
      return start;
    }),
  };
}

/** The texts of a stream. @param withUsage ends with a chunk that has the usage and no choice */
export async function* completionChunks(generation: Generation, begun: Begun, withUsage: boolean): AsyncGenerator<string> {
  const common = head(generation);
  const chunk = (choices: Completion['choices'], usage: Completion['usage'] = null): string =>
    dataOf({ ...common, choices, ...(withUsage && { usage }) } satisfies Completion);
  const lengths = Array.from({ length: generation.prompts.length * generation.answers }, () => 0);
  let tokens = 0;
  for await (const answer of begun.answers) {
    if (answer.kind === 'piece') {
      const { index, text } = answer;
      const logprobs = generation.logprobs === null ? null : logprobsView(answer.logprobs, lengths[index]!);
      lengths[index]! += text.length;
      yield chunk([{ index, text, logprobs, finish_reason: null }]);
    } else if (answer.kind === 'finished') {
      tokens += answer.tokens;
      yield chunk([{ index: answer.index, text: '', logprobs: null, finish_reason: answer.reason }]);
    }
  }
  if (withUsage) yield chunk([], usageOf(begun, tokens));
  yield DONE;
}
