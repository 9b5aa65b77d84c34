/** Two answers to a question in columns. */
import { type Paint, safe, safeLine } from '../terminal/text.ts';
import type { Recorded } from './ask.ts';
import type { Question } from './question.ts';

interface Pair {
  question: Question;
  golden: Recorded;
  fresh: Recorded;
  scores: Record<string, { golden: number; fresh: number }>;
}

/** The widest column that is easy to read. */
const MAX_WIDTH = 60;

export function sideBySide({ question, golden, fresh, scores }: Pair, { paint, columns }: { paint: Paint; columns: number }): string {
  const width = Math.max(20, Math.min(MAX_WIDTH, Math.floor((columns - 5) / 2)));
  const [left, right] = [wrap(golden.answer, width), wrap(fresh.answer, width)];
  const row = (a: string, b: string) => `  ${a.padEnd(width)} │ ${b}`.trimEnd();
  const length = Math.max(left.length, right.length);
  const scored = Object.entries(scores).map(([name, of]) => `${name} ${of.golden.toFixed(2)} → ${of.fresh.toFixed(2)}`);
  return [
    paint('bold', `> ${safeLine(questionText(question)).slice(0, 2 * width)}`),
    paint('dim', row('GOLDEN', 'HERE')),
    ...Array.from({ length }, (_, index) => row(left[index] ?? '', right[index] ?? '')),
    paint('dim', `  ${scored.join('   ')}`),
  ].join('\n');
}

/** The last thing that was said to the model. */
function questionText({ messages, prompt }: Question): string {
  const content = messages?.at(-1)?.content ?? prompt ?? '';
  return typeof content === 'string' ? content : JSON.stringify(content);
}

/** Lines of at most `width` characters, broken at spaces where possible. */
function wrap(text: string, width: number): string[] {
  return safe(text)
    .split('\n')
    .flatMap((paragraph) => {
      const lines = [''];
      for (const word of paragraph.split(' ')) {
        const line = lines.at(-1)!;
        if (line === '' || line.length + 1 + word.length <= width) lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
        else lines.push(word);
      }
      return lines.flatMap((line) => line.match(new RegExp(`.{1,${width}}`, 'gu')) ?? ['']);
    });
}
