import { modelMetrics } from '../../src/formats/metrics.ts';
import { quantity } from '../../src/formats/quantity.ts';
import type { Job } from '../../src/jobs/job.ts';
import { keys } from '../../src/object-store/keys.ts';
import type { ReportKind, Reports } from '../../src/reports/store.ts';
import type { Services } from '../../src/services.ts';
import type { CheckpointReport, DatasetFacts, Prepared } from '../engine/contract.ts';
import { JobLost } from './endings.ts';
import { uploadDirectory } from './stored-directory.ts';

type Needs = Pick<Services, 'jobs' | 'jobRecord' | 'objectStore'>;

/** @throws JobLost */
export async function saveReport<Kind extends ReportKind>(
  { reports }: Pick<Services, 'reports'>,
  { id, attempt }: Pick<Job, 'id' | 'attempt'>,
  kind: Kind,
  report: Reports[Kind],
): Promise<void> {
  if (!(await reports.put(id, attempt, kind, report))) throw new JobLost();
}

/**
 * Records that the data has been read and the first step is next: validating_files → queued → running.
 * @throws JobLost
 */
export async function recordPrepared({ jobs, jobRecord }: Needs, job: Job, facts: Prepared): Promise<void> {
  const { id, attempt } = job;
  const current = await jobs.findAny(id);
  if (current?.status === 'validating_files') {
    const { training, validation, hyperparameters, tuning, totalSteps, trainableParameters, totalParameters } = facts;
    const patch = { resolved: hyperparameters, tuning, totalSteps, facts: { training, validation, trainableParameters, totalParameters } };
    if ((await jobs.move(id, 'read', { attempt, patch })) === null) throw new JobLost();
    await describeData(jobRecord, id, 'training', training);
    if (validation !== null) await describeData(jobRecord, id, 'validation', validation);
    for (const message of facts.warnings) await jobRecord.appendEvent(id, { level: 'warn', message: `The base model: ${message}` });
    const share = ((100 * trainableParameters) / totalParameters).toPrecision(3);
    await jobRecord.appendEvent(id, {
      level: 'info',
      message: `Files validated: ${quantity(totalSteps, 'step')} will train ${quantity(trainableParameters, 'parameter')}, ${share} % of the model's ${quantity(totalParameters, 'parameter')}`,
    });
  }
  if (current?.status === 'running') return; // the training process was restarted
  if ((await jobs.move(id, 'start', { attempt })) === null) throw new JobLost();
  const message = facts.startStep === 0 ? 'Fine-tuning job started' : `Fine-tuning job resumed after step ${facts.startStep}`;
  await jobRecord.appendEvent(id, { level: 'info', message });
}

async function describeData(jobRecord: Services['jobRecord'], id: string, which: 'training' | 'validation', facts: DatasetFacts): Promise<void> {
  const altered = [
    facts.truncated > 0 ? `${quantity(facts.truncated, 'example')} truncated` : '',
    facts.dropped > 0 ? `${quantity(facts.dropped, 'example')} dropped` : '',
  ].filter((text) => text !== '');
  await jobRecord.appendEvent(id, {
    level: 'info',
    message: `The ${which} file has ${quantity(facts.examples, 'example')}, ${quantity(facts.tokens, 'token')}, ${facts.supervisedTokens.toLocaleString('en')} of them supervised; the longest example has ${quantity(facts.longestTokens, 'token')}${altered.map((text) => `; ${text}`).join('')}`,
  });
  for (const message of facts.warnings) await jobRecord.appendEvent(id, { level: 'warn', message });
}

/** Uploads first and adds the row last, so a checkpoint that has a row is complete. @throws JobLost */
export async function recordCheckpoint({ jobRecord, objectStore }: Needs, job: Job, { step, dir, last }: CheckpointReport): Promise<void> {
  const { id, attempt } = job;
  const folder = keys.newCheckpoint(id, attempt, step);
  const uploaded = await uploadDirectory(objectStore, dir, folder);
  const files = uploaded.map(({ name, sizeBytes, sha256 }) => ({ name, bytes: sizeBytes, sha256 }));
  const checkpoint = await jobRecord.addCheckpoint(id, attempt, { step, folder, metrics: { step, ...modelMetrics(last.metrics) }, files });
  if (checkpoint === null) throw new JobLost();
  await jobRecord.appendEvent(id, { level: 'info', message: `Checkpoint created at step ${step}: ${checkpoint.name}` });
}
