import { randomInt } from 'node:crypto';
import type { Principal } from '../accounts/principal.ts';
import { datasetProblem } from '../files/dataset-problem.ts';
import type { StoredFile } from '../files/store.ts';
import { checkBestModel } from '../formats/best-model.ts';
import { checkHyperparameters } from '../formats/check-hyperparameters.ts';
import type { ExampleFile } from '../formats/example-refusal.ts';
import type { Hyperparameters } from '../formats/hyperparameters.ts';
import type { JsonObject } from '../formats/json-value.ts';
import { comparesAnswers } from '../formats/objectives/format.ts';
import { isObjective, OBJECTIVE_NAMES, type ObjectiveName, objectiveFormat } from '../formats/objectives/objectives.ts';
import { Refusal } from '../formats/refusal.ts';
import { shown } from '../formats/shown.ts';
import { mergesFirst, nothingToMerge } from '../formats/tuning/merge-first.ts';
import { checkTuning, resolveTuning } from '../formats/tuning/tuning.ts';
import { newJobId, TUNED_PREFIX } from '../ids.ts';
import { ownerOfModel } from '../permissions/shared.ts';
import type { Services } from '../services.ts';
import type { OfSweep } from '../sweeps/trial-store.ts';
import { analysisOf, askedOf } from './asked.ts';
import { commitOfModel } from './base-model.ts';
import { integrationWarnings, requireIntegrations, runsOf } from './integrations.ts';
import type { Job, NewJob } from './job.ts';
import { mayShareBase } from './may-share-base.ts';
import { type CreateJob, isSuffix, MAX_SEED, SUFFIX_RULE } from './schema.ts';
import { continuedFrom } from './start-from.ts';
import { alsoTuned, fromUploaded } from './start-from-file.ts';
import { templateKwargs } from './template-kwargs.ts';

interface Request {
  body: CreateJob;
  /** The body as it was sent. */
  bodyText: string;
  /** Of the request: repeated with the same claim, it returns the job created before. */
  claim: string | undefined;
  /** Whether the job is one of a sweep. */
  ofSweep?: OfSweep;
  /** Whether whoever asks for it chose its seed; default: if the body has one. */
  isSeeded?: boolean;
}

type Needs = Pick<
  Services,
  'permissions' | 'jobs' | 'jobRecord' | 'reports' | 'files' | 'validations' | 'models' | 'queue' | 'hub' | 'config' | 'tracing' | 'log'
>;

/**
 * Creates a job, or immediately refuses whatever can be recognised as wrong without reading the data.
 * @throws Refusal; TrialTaken for a job of a sweep that another process has created
 */
export async function createJob(
  principal: Principal,
  { body, bodyText, claim, ofSweep, isSeeded = body.seed != null }: Request,
  services: Needs,
): Promise<Job> {
  const { jobs, queue, tracing, log } = services;
  const requested = await acceptJob(principal, { body, bodyText }, services);
  const shares = mayShareBase(requested, { isSeeded, isContinued: requested.startFrom != null });
  const accepted = {
    ...requested,
    ...ofSweep,
    mayShareBase: shares,
    runs: runsOf(requested.integrations ?? null, services.config.integrations),
    traceParent: tracing.current(),
    ...(claim !== undefined && { idempotencyKey: claim }),
  };
  const { job } = await jobs.create(principal.project, accepted, [
    { level: 'info', message: `Created fine-tuning job: ${requested.id}` },
    ...(requested.startFrom != null ? [{ level: 'info', message: `Starting from: ${requested.startFrom.name}` } as const] : []),
    { level: 'info', message: `Validating training file: ${requested.trainingFileId}` },
    ...integrationWarnings(requested.integrations ?? null, services.config.integrations),
  ]);
  // The row is what counts: if Redis is unavailable now, the reconciler wakes a worker later.
  const facts = { kind: 'producer', attributes: { 'messaging.system': 'bullmq', 'graft.job_id': job.id } } as const;
  await tracing
    .within('enqueue', facts, () => queue.enqueue(job.id))
    .catch((error: unknown) => log.warn({ err: error, jobId: job.id }, 'the job could not be queued yet'));
  return job;
}

/** What can be said of a job without looking anything up. @throws Refusal */
export const requestedJob = (body: CreateJob, bodyText: string): NewJob => newJob(body, templateKwargs(bodyText, objectiveOf(body)));

/**
 * Everything that a job is refused for before it is created.
 * @returns the job, which is not stored yet
 * @throws Refusal
 */
export async function acceptJob(principal: Principal, { body, bodyText }: Pick<Request, 'body' | 'bodyText'>, services: Needs): Promise<NewJob> {
  const { organization, project: owner } = principal;
  const requested = requestedJob(body, bodyText);
  requireIntegrations(requested.integrations ?? null, services.config.integrations);
  const objective = objectiveOf(body);
  await requireFile(owner, { param: 'training_file', id: requested.trainingFileId, objective }, services);
  if (requested.validationFileId !== null)
    await requireFile(owner, { param: 'validation_file', id: requested.validationFileId, objective }, services);
  if (requested.evaluationFileId != null) await requireFile(owner, { param: 'evaluation_file', id: requested.evaluationFileId, objective }, services);
  if (requested.retentionFileId != null) await requireFile(owner, { param: 'retention_file', id: requested.retentionFileId, objective }, services);
  const on = body.model.startsWith(TUNED_PREFIX)
    ? await tunedModel(await ownerOfModel(principal, body.model, services), body, services)
    : await baseModel(owner, body, services);
  return { ...requested, ...on, organization };
}

async function baseModel(owner: string, { model, start_from: fileId, tuning }: CreateJob, services: Needs): Promise<Partial<NewJob>> {
  if (fileId == null && mergesFirst(resolveTuning(tuning))) throw nothingToMerge();
  const modelRevision = await commitOfModel(model, services);
  return { modelRevision, ...(fileId != null && (await fromUploaded(owner, { fileId, model, modelRevision, tuning }, services))) };
}

/** What is not given in the request is as it was for the model. */
async function tunedModel(owner: string, body: CreateJob, services: Needs): Promise<Partial<NewJob>> {
  if (body.start_from != null) throw alsoTuned();
  const { chatTemplate, chatTemplateKwargs, ...continued } = await continuedFrom(owner, { name: body.model, tuning: body.tuning }, services);
  const { chat_template: template, chat_template_kwargs: kwargs } = settingsOf(body);
  return { ...continued, ...(template === undefined && { chatTemplate }), ...(kwargs === undefined && { chatTemplateKwargs }) };
}

function newJob(body: CreateJob, kwargs: JsonObject | null): NewJob {
  checkMethod(body);
  const objective = objectiveOf(body);
  if (body.suffix != null && !isSuffix(body.suffix))
    throw new Refusal('invalid_value', `suffix is ${shown(body.suffix)}`, { param: 'suffix', hint: SUFFIX_RULE });
  const hyperparameters = requestedHyperparameters(body);
  checkBestModel(hyperparameters, {
    param: hyperparametersParam(body),
    evaluations: body.evaluations?.map(({ name }) => name) ?? [],
    hasValidation: body.validation_file != null,
  });
  if (hyperparameters.learning_rate_finder && body.dry_run !== true)
    throw new Refusal('invalid_value', 'learning_rate_finder is given, but the job is no dry run', {
      param: `${hyperparametersParam(body)}.learning_rate_finder`,
      hint: 'Add dry_run: true, and create the job with the suggested learning_rate afterwards.',
    });
  if (body.evaluations?.length && body.evaluation_file == null && comparesAnswers(objectiveFormat(objective)))
    throw new Refusal('missing_required_parameter', 'evaluations needs examples with an answer, and the validation file holds answers to compare', {
      param: 'evaluation_file',
      hint: 'Give it an evaluation_file of conversations, or prompts and completions.',
    });
  return {
    id: newJobId(),
    model: body.model,
    trainingFileId: body.training_file,
    validationFileId: body.validation_file ?? null,
    ...askedOf(body),
    ...analysisOf(body),
    suffix: body.suffix ?? null,
    seed: body.seed ?? randomInt(MAX_SEED),
    priority: body.priority ?? 0,
    dryRun: body.dry_run ?? false,
    objective,
    hyperparameters,
    tuning: resolveTuning(body.tuning),
    metadata: body.metadata ?? null,
    integrations: body.integrations ?? null,
    chatTemplate: settingsOf(body).chat_template ?? null,
    chatTemplateKwargs: kwargs,
  };
}

/** @throws Refusal for an unknown method, or for settings of another one */
export function checkMethod({ method }: Pick<CreateJob, 'method'>): void {
  if (method && !isObjective(method.type)) {
    throw new Refusal('unsupported_method', `The method "${method.type}" is not supported`, {
      param: 'method.type',
      hint: `Use ${OBJECTIVE_NAMES.map((name) => `"${name}"`).join(' or ')}.`,
    });
  }
  for (const other of [...OBJECTIVE_NAMES, 'reinforcement'] as const) {
    if (method && other !== method.type && method[other] !== undefined)
      throw new Refusal('invalid_value', `method.${other} cannot be combined with the type "${method.type}"`, { param: `method.${other}` });
  }
}

/** What the job minimises; its type has been checked. */
export const objectiveOf = ({ method }: Pick<CreateJob, 'method'>): ObjectiveName =>
  method !== undefined && isObjective(method.type) ? method.type : 'supervised';

/** What the request says of its objective. */
const settingsOf = (body: Pick<CreateJob, 'method'>) => body.method?.[objectiveOf(body)] ?? {};

/** Where the request has its hyperparameters. */
const hyperparametersParam = (body: Pick<CreateJob, 'method' | 'hyperparameters'>): string =>
  body.hyperparameters ? 'hyperparameters' : `method.${objectiveOf(body)}.hyperparameters`;

/** @throws Refusal for values that contradict each other */
export function requestedHyperparameters(body: Pick<CreateJob, 'method' | 'hyperparameters' | 'tuning'>): Hyperparameters {
  const { hyperparameters, tuning } = body;
  const objective = objectiveOf(body);
  const ofMethod = settingsOf(body).hyperparameters;
  if (ofMethod && hyperparameters) {
    throw new Refusal('invalid_value', 'hyperparameters are given twice', {
      param: 'hyperparameters',
      hint: `Use only method.${objective}.hyperparameters; the other field is deprecated.`,
    });
  }
  const requested = hyperparameters ?? ofMethod ?? {};
  const resolved = resolveTuning(tuning);
  checkTuning(resolved);
  checkHyperparameters(requested, { param: hyperparametersParam(body), tuning: resolved, objective });
  return requested;
}

export async function requireFile(
  owner: string,
  { param, id, objective }: { param: ExampleFile; id: string; objective: ObjectiveName },
  services: Parameters<typeof datasetProblem>[2] & Pick<Services, 'files'>,
): Promise<StoredFile> {
  const file = await services.files.find(owner, id);
  const code = `invalid_${param}`;
  if (file === null) throw new Refusal(code, `There is no file "${id}"`, { param, hint: 'Upload it to POST /v1/files first.' });
  if (file.purpose !== 'fine-tune') {
    throw new Refusal(code, `The file "${id}" has the purpose "${file.purpose}"`, {
      param,
      hint: 'Upload the dataset with the purpose "fine-tune".',
    });
  }
  // One that is still being read is waited for by the worker.
  const problem = await datasetProblem(file, { param, objective }, services);
  if (problem !== null) throw problem;
  return file;
}
