/** Runs one try: creates the jobs, disturbs them, waits for their ends and checks what is left. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '../random.ts';
import type { Api } from './api.ts';
import type { Disturbance, Try } from './fault.ts';
import { checkSucceeded, type Findings } from './invariants.ts';
import { BESIDE_STEPS, besideBody, jobBody, type Length, stepsOf } from './jobs.ts';
import type { Service } from './service.ts';
import type { JobState, Truth } from './truth.ts';

/** A job that has not ended by then never will. */
const END_TIMEOUT_MS = 240_000;
const POLL_MS = 100;
/** After a job's end, its training process may take a moment to exit. */
const SETTLE_MS = 10_000;

export const hasEnded = ({ status }: JobState): boolean => ['succeeded', 'failed', 'cancelled', 'deleted'].includes(status);

export interface Undisturbed {
  weights: string;
  seconds: number;
}

export interface Outcome extends Findings {
  jobIds: readonly string[];
  /** Null if nothing was left to continue. */
  continuedAfterSeconds: number | null;
}

interface TryOptions {
  service: Service;
  api: Api;
  truth: Truth;
  random: Random;
  trainingFile: string;
  length: Length;
  jobs: number;
  beside: boolean;
  undisturbed: Undisturbed;
  key: string;
}

export async function runTry(disturbance: Disturbance, options: TryOptions): Promise<Outcome> {
  const { service, api, truth, random, undisturbed, length } = options;
  const { body, ...wanted } = options.beside
    ? { body: besideBody, steps: BESIDE_STEPS, weights: null }
    : { body: jobBody, steps: stepsOf(length), weights: undisturbed.weights };
  const jobIds: string[] = [];
  for (let index = 0; index < options.jobs; index++)
    jobIds.push((await api.create(body(options.trainingFile, length), `${options.key}-${index}`)).id);
  const jobId = jobIds[0]!;
  let continued: Promise<number | null> | null = null;
  const one: Try = {
    service,
    api,
    truth,
    random,
    jobIds,
    jobId,
    untilRandomMoment: () => delay(random.next() * undisturbed.seconds * 1000),
    untilProgress: () => untilMore('lastStep', jobId, truth),
    untilCheckpoint: () => untilMore('checkpoints', jobId, truth),
    canContinue(id = jobId) {
      continued ??= secondsToContinue(id, truth);
    },
  };
  await disturbance.disturb(one);
  one.canContinue();
  const findings: Findings[] = [];
  for (const id of jobIds) {
    await untilEnded(id, truth);
    const check = disturbance.check ?? ((job: string) => checkSucceeded(job, wanted, options));
    findings.push(await check(id, one));
  }
  const orphans = await orphansOf(service);
  return {
    jobIds,
    lost: findings.some(({ lost }) => lost),
    wrongBytes: findings.some(({ wrongBytes }) => wrongBytes),
    irregular: [...findings.flatMap(({ irregular }) => irregular), ...orphans],
    continuedAfterSeconds: await continued!,
  };
}

export async function untilEnded(jobId: string, truth: Truth): Promise<JobState> {
  const deadline = Date.now() + END_TIMEOUT_MS;
  for (;;) {
    const job = await truth.job(jobId);
    if (hasEnded(job) || Date.now() > deadline) return job;
    await delay(POLL_MS);
  }
}

/** Resolves at the job's end, too. */
async function untilMore(what: 'lastStep' | 'checkpoints', jobId: string, truth: Truth): Promise<void> {
  const { [what]: before } = await truth.job(jobId);
  const deadline = Date.now() + END_TIMEOUT_MS;
  for (;;) {
    const job = await truth.job(jobId);
    if (hasEnded(job) || job[what] > before || Date.now() > deadline) return;
    await delay(POLL_MS);
  }
}

/** How long the job takes from now to do more than it has done, or to end; null if it has ended. */
async function secondsToContinue(jobId: string, truth: Truth): Promise<number | null> {
  const sinceMs = performance.now();
  const before = await truth.job(jobId);
  if (hasEnded(before)) return null;
  const deadline = Date.now() + END_TIMEOUT_MS;
  while (Date.now() < deadline) {
    const job = await truth.job(jobId);
    if (hasEnded(job) || job.lastStep > before.lastStep) return (performance.now() - sinceMs) / 1000;
    await delay(POLL_MS);
  }
  return END_TIMEOUT_MS / 1000;
}

/** Training processes that no worker has: a worker keeps one that waits for the next job. */
async function orphansOf(service: Service): Promise<string[]> {
  const deadline = Date.now() + SETTLE_MS;
  for (;;) {
    const workers = new Set(service.processes('worker').map(({ pid }) => pid));
    const apis = new Set(service.processes('api').map(({ pid }) => pid));
    const orphans = [
      ...service.processes('training').filter(({ parent }) => !workers.has(parent)),
      ...service.processes('worker').filter(({ parent }) => !apis.has(parent)),
    ];
    if (orphans.length === 0) return [];
    if (Date.now() > deadline) return orphans.map(({ role, pid }) => `${role} process ${pid} has lost its parent and still runs`);
    await delay(POLL_MS);
  }
}
