/** A dataset that any model learns in a few steps: every question has the same answer. */
export function sameAnswer(examples: number, from = 0): string {
  return Array.from({ length: examples }, (_, index) => example(`Question ${from + index}?`, 'one two three')).join('');
}

export const example = (question: string, answer: string, more: object = {}): string =>
  `${JSON.stringify({
    messages: [
      { role: 'user', content: question },
      { role: 'assistant', content: answer, ...more },
    ],
  })}\n`;
