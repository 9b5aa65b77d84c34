import { Refusal } from '../refusal.ts';
import { inLimitedTime } from './limited-time.ts';

/**
 * @returns what the first match captures in its first group, or all of the match without a group; null if nothing matches
 * @throws Refusal for a pattern that is not a regular expression of JavaScript
 */
export function firstCapture(pattern: string, { ignoreCase, param }: { ignoreCase: boolean; param: string }): (text: string) => string | null {
  let expression: RegExp;
  try {
    expression = new RegExp(pattern, ignoreCase ? 'iu' : 'u');
  } catch (error) {
    throw new Refusal('invalid_value', `pattern cannot be read: ${(error as Error).message}`, {
      param,
      hint: 'Write a regular expression as in JavaScript with the flag u: "^[A-D]$", "answer is (\\\\d+)".',
    });
  }
  return inLimitedTime('the pattern', (text: string) => {
    const match = expression.exec(text);
    return match && (match.length > 1 ? (match[1] ?? '') : match[0]);
  });
}
