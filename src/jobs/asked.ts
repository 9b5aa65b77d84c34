/** What a request says of the questions that the model is asked while it is trained, and of the analysis of what it became. */
import { checkSamplePrompts, DEFAULT_MAX_EXAMPLES, DEFAULT_MAX_TOKENS, prepareEvaluations } from '../formats/evaluations.ts';
import { Refusal } from '../formats/refusal.ts';
import type { AnalysisField, AnswerField, Job } from './job.ts';
import type { CreateJob } from './schema.ts';

const orNull = <T>(items: T[] | null | undefined): T[] | null => (items && items.length > 0 ? items : null);

/** @throws Refusal for graders and prompts that cannot be used, and for fields that would do nothing */
export function askedOf(body: CreateJob): Pick<Job, AnswerField> {
  const [samplePrompts, evaluations] = [orNull(body.sample_prompts), orNull(body.evaluations)];
  const { evaluation_file: file, evaluation_max_examples: maxExamples, max_completion_tokens: maxTokens } = body;
  checkSamplePrompts(samplePrompts ?? []);
  prepareEvaluations(evaluations ?? []);
  if (evaluations !== null && file == null && body.validation_file == null)
    throw new Refusal('missing_required_parameter', 'evaluations needs examples, and the job has no file of them', {
      param: 'evaluation_file',
      hint: 'Give it an evaluation_file, or a validation_file.',
    });
  if (evaluations === null) {
    refuseIfGiven('evaluation_file', file, 'evaluations');
    refuseIfGiven('evaluation_max_examples', maxExamples, 'evaluations');
    if (samplePrompts === null) refuseIfGiven('max_completion_tokens', maxTokens, 'sample_prompts or evaluations');
  }
  const isAsked = samplePrompts !== null || evaluations !== null;
  return {
    samplePrompts,
    evaluations,
    evaluationFileId: file ?? null,
    evaluationMaxExamples: evaluations === null ? null : (maxExamples ?? DEFAULT_MAX_EXAMPLES),
    maxCompletionTokens: isAsked ? (maxTokens ?? DEFAULT_MAX_TOKENS) : null,
  };
}

/** @throws Refusal for a file that nothing would be measured on */
export function analysisOf({ analysis, retention_file: file }: CreateJob): Pick<Job, AnalysisField> {
  if (!analysis) refuseIfGiven('retention_file', file, 'analysis');
  return { analysis: analysis ?? false, retentionFileId: file ?? null };
}

function refuseIfGiven(param: string, value: unknown, needs: string): void {
  if (value != null) throw new Refusal('invalid_value', `${param} does nothing without ${needs}`, { param, hint: `Add ${needs}, or leave it out.` });
}
