import { namedFamily, otherMethod } from '../formats/example-families.ts';
import { type ExampleFile, exampleError } from '../formats/example-refusal.ts';
import type { ExampleCounts } from '../formats/judged-file.ts';
import type { ExampleFamily } from '../formats/objectives/format.ts';
import { type ObjectiveName, objectiveFormat } from '../formats/objectives/objectives.ts';
import { Problems } from '../formats/problems.ts';
import type { Refusal } from '../formats/refusal.ts';
import type { Services } from '../services.ts';
import type { StoredFile } from './store.ts';

/**
 * @param options.objective of the job: it decides which examples its files have; those that are only answered or evaluated always have an answer
 * @returns why it cannot be trained on a dataset, in the words that the job would fail with; null if it can, or the file is still being read
 */
export async function datasetProblem(
  file: StoredFile,
  { param, objective }: { param: ExampleFile; objective: ObjectiveName },
  { validations }: Pick<Services, 'validations'>,
): Promise<Refusal | null> {
  if (file.status === 'uploaded') return null;
  const judged = await validations.find(file.owner, file.id);
  if (file.status === 'error') {
    const problems = new Problems(param);
    for (const { problem, hint } of judged?.problems ?? []) problems.note(exampleError(param, problem, hint ?? undefined));
    return problems.all ?? exampleError(param, file.statusDetails ?? `The file "${file.id}" cannot be read`);
  }
  if (judged?.adapter !== undefined)
    return exampleError(param, `The file "${file.id}" is an adapter, and has no examples`, 'A job starts from it with start_from.');
  if (judged === null) return null;
  const isAnswered = param === 'evaluation_file' || param === 'retention_file';
  const families = objectiveFormat(isAnswered ? 'supervised' : objective).examples;
  const its = familyOfCounts(judged.examples);
  if (families.includes(its)) return null;
  return exampleError(
    param,
    `The file "${file.id}" has ${namedFamily(its).many}, from which the method does not learn`,
    otherMethod(its, families[0]),
  );
}

/** The family of a file's examples, all of which are of one. */
function familyOfCounts({ preference, labelled = 0, distilled = 0 }: ExampleCounts): ExampleFamily {
  if (preference > 0) return 'preference';
  if (labelled > 0) return 'labelled';
  return distilled > 0 ? 'distilled' : 'supervised';
}
