/** What answers are scored with: OpenAI's graders, run here. */
import { Value } from 'typebox/value';
import { Grader } from '../../src/formats/graders/grader.ts';
import { prepareGrader } from '../../src/formats/graders/run.ts';
import { usageFailure } from '../exit-code.ts';
import { readYaml } from '../jobs/request.ts';

export interface NamedGrader {
  name: string;
  grade: ReturnType<typeof prepareGrader>;
}

/** How like the dataset's answer, and how like OpenAI's. */
const DEFAULTS: readonly Grader[] = [
  similarity('like the dataset', '{{item.reference}}'),
  similarity('like the golden answer', '{{item.golden}}'),
  { type: 'string_check', name: 'exactly the dataset', input: '{{sample.output_text}}', reference: '{{item.reference}}', operation: 'eq' },
];

function similarity(name: string, reference: string): Grader {
  return { type: 'text_similarity', name, input: '{{sample.output_text}}', reference, evaluation_metric: 'fuzzy_match' };
}

/** @param paths of YAML or JSON files with a grader or a list of them; none: the defaults. @throws Failure, Refusal */
export async function readGraders(paths: readonly string[]): Promise<NamedGrader[]> {
  const given: unknown[] = [];
  for (const path of paths) given.push(...[await readYaml(path)].flat());
  return (paths.length === 0 ? DEFAULTS : given.map(checked)).map((grader) => ({ name: grader.name, grade: prepareGrader(grader) }));
}

function checked(value: unknown): Grader {
  if (Value.Check(Grader, value)) return value;
  throw usageFailure(
    `${JSON.stringify(value)?.slice(0, 100)} is not a grader`,
    'docs/jobs.md#graders has their fields; item.reference is the dataset’s answer, item.golden OpenAI’s.',
  );
}
