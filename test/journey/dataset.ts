/** A dataset that any model learns in a few steps: every question has the same answer. */
export function sameAnswer(examples: number, from = 0): string {
  return Array.from({ length: examples }, (_, index) => example(`Question ${from + index}?`, 'one two three')).join('');
}

/** Preference pairs in OpenAI's format; the preferred answer is always the same. */
export const pairs = (count: number, from = 0): string =>
  Array.from({ length: count }, (_, index) => {
    const input = { messages: [{ role: 'user', content: `Question ${from + index}?` }] };
    const output = (content: string) => [{ role: 'assistant', content }];
    return `${JSON.stringify({ input, preferred_output: output('one two three'), non_preferred_output: output('two one') })}\n`;
  }).join('');

/** Labelled answers, as KTO learns from them: every other one is bad. */
export const labelled = (count: number): string =>
  Array.from({ length: count }, (_, index) => {
    const label = index % 2 === 0;
    return `${JSON.stringify({ prompt: `Question ${index}? `, completion: label ? 'one two three' : 'two one', label })}\n`;
  }).join('');

/** The tokens of "one two three" in the tokenizer of the tiny model. */
const TOKENS = ['o', 'ne', ' t', 'w', 'o', ' t', 'h', 're', 'e'];

/** Conversations with the log-probabilities of a teacher. */
export const distilled = (count: number): string => {
  const content = TOKENS.map((token) => {
    const chosen = { token, logprob: -0.25, bytes: [...Buffer.from(token)] };
    return { ...chosen, top_logprobs: [chosen, { token: '.', logprob: -2, bytes: null }] };
  });
  return Array.from({ length: count }, (_, index) => example(`Question ${index}?`, 'one two three', { logprobs: { content } })).join('');
};

export const example = (question: string, answer: string, more: object = {}): string =>
  `${JSON.stringify({
    messages: [
      { role: 'user', content: question },
      { role: 'assistant', content: answer, ...more },
    ],
  })}\n`;
