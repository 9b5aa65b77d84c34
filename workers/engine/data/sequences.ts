/** Examples of several independent sequences: one line of a file whose turns are trained in texts of their own. */
import { type Example, tokensIn } from './batch.ts';
import { joinTeachers, teacherWithin } from './teacher.ts';

/** @returns each sequence as an example of its own, without copying; the example itself if it is one sequence */
export function sequencesIn(example: Example): Example[] {
  const { starts } = example;
  if (starts === undefined) return [example];
  return Array.from(starts, (start, index) => tokensWithin(example, start, starts[index + 1] ?? example.inputIds.length));
}

/** @returns the tokens of a sequence from `start` to `end`, without copying them */
export const tokensWithin = ({ inputIds, lossWeights, teacher }: Example, start: number, end: number): Example => ({
  inputIds: inputIds.subarray(start, end),
  lossWeights: lossWeights.subarray(start, end),
  ...(teacher && { teacher: teacherWithin(teacher, start, end) }),
});

/** Nothing predicts a sequence's first token, so it never counts. */
export function joinSequences(sequences: readonly Example[]): Example {
  for (const { lossWeights } of sequences) if (lossWeights.length > 0) lossWeights[0] = 0;
  const [only, ...more] = sequences;
  if (only !== undefined && more.length === 0)
    return { inputIds: only.inputIds, lossWeights: only.lossWeights, ...(only.teacher && { teacher: only.teacher }) };
  const length = tokensIn(sequences);
  const joined = { inputIds: new Int32Array(length), lossWeights: new Float32Array(length), starts: new Int32Array(sequences.length) };
  const teachers: Parameters<typeof joinTeachers>[0][number][] = [];
  let at = 0;
  for (const [index, { inputIds, lossWeights, teacher }] of sequences.entries()) {
    joined.starts[index] = at;
    joined.inputIds.set(inputIds, at);
    joined.lossWeights.set(lossWeights, at);
    if (teacher) teachers.push({ teacher, offset: at });
    at += inputIds.length;
  }
  return teachers.length === 0 ? joined : { ...joined, teacher: joinTeachers(teachers) };
}

/** @returns the tokens of the longest sequence: what a model must be able to read at once */
export const longestSequence = (example: Example): number => Math.max(...sequencesIn(example).map(({ inputIds }) => inputIds.length));
