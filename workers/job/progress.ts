import { modelMetrics } from '../../src/formats/metrics.ts';
import { quantity } from '../../src/formats/quantity.ts';
import type { Attempt } from '../../src/jobs/fenced-write.ts';
import type { Job, NewEvent } from '../../src/jobs/job.ts';
import { keys } from '../../src/object-store/keys.ts';
import type { ReportKind, Reports } from '../../src/reports/store.ts';
import type { Services } from '../../src/services.ts';
import type { Pace } from '../engine/compiled/together/pace.ts';
import type { CheckpointReport, DatasetFacts, Prepared } from '../engine/contract.ts';
import { JobLost } from './endings.ts';
import type { JobFolder } from './folder.ts';
import type { JobJournal } from './journal.ts';
import { uploadDirectory } from './stored-directory.ts';
import { thinCheckpoints } from './thinning.ts';

/** @throws JobLost */
export async function saveReport<Kind extends ReportKind>(
  { reports }: Pick<Services, 'reports'>,
  attempt: Attempt,
  kind: Kind,
  report: Reports[Kind],
): Promise<void> {
  if (!(await reports.put(attempt, kind, report))) throw new JobLost();
}

/** What the user is told about training beside other jobs. */
export function paceMessage({ runs, speed, isShared }: Pace): string {
  const others = quantity(runs - 1, 'other job');
  const times = `${speed.toFixed(2)} times as fast as one after the other`;
  return isShared
    ? `Trains beside ${others} on one copy of the base model, in passes that they share: ${times}`
    : `Trains beside ${others} on one copy of the base model, one after the other: passes that they share would be ${times}`;
}

/** Tells the user what no other record tells. @throws JobLost */
export async function addEvent({ jobRecord }: Pick<Services, 'jobRecord'>, attempt: Attempt, event: NewEvent): Promise<void> {
  if (!(await jobRecord.addEvents(attempt, [event]))) throw new JobLost();
}

/**
 * Records that the data has been read and the first step is next: validating_files → queued → running.
 * @throws JobLost
 */
export async function recordPrepared({ jobs }: Pick<Services, 'jobs'>, job: Job, facts: Prepared): Promise<void> {
  const { training, validation, hyperparameters, tuning, totalSteps, startStep, trainableParameters, totalParameters } = facts;
  const patch = { resolved: hyperparameters, tuning, totalSteps, facts: { training, validation, trainableParameters, totalParameters } };
  const message =
    startStep > 0 ? `Fine-tuning job resumed after step ${startStep}` : job.startedAt === null ? 'Fine-tuning job started' : STARTED_AGAIN;
  const begun = await jobs.begin(job, { read: { patch, events: validated(facts) }, start: { events: [{ level: 'info', message }] } });
  if (begun?.status !== 'running') throw new JobLost();
}

/** An earlier attempt left no checkpoint that can be used. */
const STARTED_AGAIN = 'Fine-tuning job started again, from the beginning';

function validated({ training, validation, totalSteps, trainableParameters, totalParameters, warnings }: Prepared): NewEvent[] {
  const share = ((100 * trainableParameters) / totalParameters).toPrecision(3);
  return [
    ...describeData('training', training),
    ...(validation === null ? [] : describeData('validation', validation)),
    ...warnings.map((message): NewEvent => ({ level: 'warn', message: `The base model: ${message}` })),
    {
      level: 'info',
      message: `Files validated: ${quantity(totalSteps, 'step')} will train ${quantity(trainableParameters, 'parameter')}, ${share} % of the model's ${quantity(totalParameters, 'parameter')}`,
    },
  ];
}

function describeData(which: 'training' | 'validation', facts: DatasetFacts): NewEvent[] {
  const altered = [
    facts.truncated > 0 ? `${quantity(facts.truncated, 'example')} truncated` : '',
    facts.dropped > 0 ? `${quantity(facts.dropped, 'example')} dropped` : '',
  ].filter((text) => text !== '');
  return [
    {
      level: 'info',
      message: `The ${which} file has ${quantity(facts.examples, 'example')}, ${quantity(facts.tokens, 'token')}, ${facts.supervisedTokens.toLocaleString('en')} of them supervised; the longest example has ${quantity(facts.longestTokens, 'token')}${altered.map((text) => `; ${text}`).join('')}`,
    },
    ...facts.warnings.map((message): NewEvent => ({ level: 'warn', message })),
  ];
}

interface Stored {
  services: Pick<Services, 'jobs' | 'jobRecord' | 'retention' | 'objectStore'>;
  job: Job;
  journal: JobJournal;
  folder: JobFolder;
}

/** Stores what there is by a checkpoint, and then removes it from this machine. @throws JobLost */
export async function storeProgress({ services, job, journal, folder }: Stored, checkpoint: CheckpointReport): Promise<void> {
  await journal.flush();
  await recordCheckpoint(services, job, checkpoint);
  await folder.removeCheckpoint(checkpoint.step);
}

/**
 * Uploads first and adds the row last, so a checkpoint that has a row is complete. Then removes those beyond the job's limit.
 * @throws JobLost
 */
async function recordCheckpoint(
  services: Pick<Services, 'jobs' | 'jobRecord' | 'retention' | 'objectStore'>,
  job: Job,
  { step, dir, last }: CheckpointReport,
): Promise<void> {
  const { jobRecord, objectStore } = services;
  const folder = keys.newCheckpoint(job.id, job.attempt, step);
  const uploaded = await uploadDirectory(objectStore, dir, folder);
  const files = uploaded.map(({ name, sizeBytes, sha256 }) => ({ name, bytes: sizeBytes, sha256 }));
  const checkpoint = await jobRecord.addCheckpoint(job, { step, folder, metrics: { step, ...modelMetrics(last.metrics) }, files });
  if (checkpoint === null) throw new JobLost();
  await thinCheckpoints(services, job);
}
