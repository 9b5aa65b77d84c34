/** Records what the model was asked between steps: answers to sample prompts, each with an event, and the scores of evaluations. */
import { untilAnswered } from '../../src/database/until-answered.ts';
import type { EvaluationReport } from '../../src/formats/evaluation-report.ts';
import { shown } from '../../src/formats/shown.ts';
import type { Job } from '../../src/jobs/job.ts';
import type { NewSample } from '../../src/samples/store.ts';
import type { Services } from '../../src/services.ts';
import type { AnswerReport, Sample } from '../engine/contract.ts';
import { JobLost } from './endings.ts';
import { saveReport } from './progress.ts';

/** @throws JobLost */
export async function recordAnswers(services: Pick<Services, 'samples' | 'reports'>, job: Job, report: AnswerReport): Promise<void> {
  const samples = report.samples.map((sample) => asRecorded(report.step, sample));
  if (samples.length > 0 && !(await services.samples.add(job, samples))) throw new JobLost();
  if (report.scores.length === 0) return;
  const earlier = report.step === 0 ? null : await untilAnswered(() => services.reports.find(job.owner, job.id, 'evaluations'));
  await saveReport(services, job, 'evaluations', evaluationReport(report, earlier));
}

function asRecorded(step: number, { prompt, text, tokens, finishReason }: Sample): NewSample {
  const when = step === 0 ? 'Before training' : `Step ${step}`;
  const message = `${when}, answer to prompt ${prompt + 1}: ${shown(text)}`;
  const event = { level: 'info', type: 'sample', message, data: { step, prompt, text } } as const;
  return { step, prompt, text, tokens, finishReason, event };
}

/** @param earlier the report with the scores of the model as training found it; null: these are they */
function evaluationReport({ step, scores, examples, leftOut, seconds }: AnswerReport, earlier: EvaluationReport | null): EvaluationReport {
  const data = scores.map(({ name, type, score, ungraded, problem }) => {
    const base = earlier?.data.find((one) => one.name === name)?.base ?? score;
    const tuned = step === 0 ? null : score;
    return { name, type, base, tuned, difference: tuned === null ? null : tuned - base, ungraded, problem };
  });
  return { object: 'fine_tuning.job.evaluations', step, examples, left_out: leftOut, seconds, data };
}
