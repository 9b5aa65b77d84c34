import { ExampleRefusal } from './example-refusal.ts';
import type { BadLine, Line } from './lines.ts';
import type { Refusal } from './refusal.ts';

/** A line as it was judged. */
export type Judged<Example> = { lineNumber: number; example: Example } | { lineNumber: number; refusal: Refusal };

/** Judges every line of a file, with one in memory at a time. Blank lines at the end do not count: many editors leave them. */
export async function* judgeLines<Example>(
  lines: AsyncIterable<Line | BadLine>,
  parse: (line: string, lineNumber: number) => Example,
): AsyncGenerator<Judged<Example>> {
  const judged = (text: string, lineNumber: number): Judged<Example> => {
    try {
      return { lineNumber, example: parse(text, lineNumber) };
    } catch (error) {
      if (!(error instanceof ExampleRefusal)) throw error;
      return { lineNumber, refusal: error };
    }
  };
  let last = 0; // that was not blank
  for await (const line of lines) {
    const { number } = line;
    const isBad = 'refusal' in line;
    if (!isBad && line.text.trim() === '') continue;
    for (let blank = last + 1; blank < number; blank++) yield judged('', blank);
    last = number;
    yield isBad ? { lineNumber: number, refusal: line.refusal } : judged(line.text, number);
  }
}
