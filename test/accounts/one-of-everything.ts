import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { createKey } from '../../src/api-keys/create.ts';
import { AdapterProof } from '../../src/formats/adapter-proof.ts';
import { Analysis } from '../../src/formats/analysis.ts';
import { DryRun } from '../../src/formats/dry-run.ts';
import { EvaluationReport } from '../../src/formats/evaluation-report.ts';
import { Lineage } from '../../src/formats/lineage.ts';
import { Resumes } from '../../src/formats/resumes.ts';
import { TokenReceipt } from '../../src/formats/token-receipt.ts';
import { fineTunedModelName, newFileId } from '../../src/ids.ts';
import { keys } from '../../src/object-store/keys.ts';
import type { RunningService } from '../running-service.ts';

export interface Owned {
  /** By the names of the parameters of paths. */
  parameters: Record<string, string>;
  /** Ids of which no path has a parameter. */
  others: string[];
  partId: string;
  /** Operations that an earlier one may have made impossible. */
  mayBeLate: string[];
}

const LINE = '{"prompt":"a","completion":"b"}\n';
const WORKER = 'worker-test';

/** Gives a project a file, an upload with a part, a job that has succeeded with all its reports, its model, and a webhook endpoint; and its organization keys. */
export async function makeOneOfEverything(service: RunningService, project: string, headers: Record<string, string>): Promise<Owned> {
  const { services, inject } = service;
  const post = async (url: string, body: object): Promise<{ id: string; data?: { id: string }[] }> => {
    const options = { headers: { ...headers, 'content-type': 'application/json' }, payload: JSON.stringify(body) };
    const response = await inject({ method: 'POST', url: `/v1${url}`, ...options });
    if (response.statusCode !== 200) throw new Error(`POST ${url}: ${response.body}`);
    return response.json();
  };
  const form = async (url: string, fields: Record<string, string>) => {
    const { payload, ...type } = multipart(fields);
    const response = await inject({ method: 'POST', url: `/v1${url}`, headers: { ...headers, ...type }, payload });
    if (response.statusCode !== 200) throw new Error(`POST ${url}: ${response.body}`);
    return response.json<{ id: string }>();
  };

  const file = await form('/files', { purpose: 'fine-tune', file: LINE });
  // What it shows must change no more.
  while ((await inject({ url: `/v1/files/${file.id}`, headers })).json().status === 'uploaded') await delay(50);
  const upload = await post('/uploads', { filename: 'big.jsonl', purpose: 'fine-tune', bytes: LINE.length, mime_type: 'application/jsonl' });
  const part = await form(`/uploads/${upload.id}/parts`, { data: LINE });
  const jobId = (await post('/fine_tuning/jobs', { model: 'graft-tiny', training_file: file.id, sample_prompts: ['a'] })).id;
  const made = await succeed(service, jobId);
  const sweep = await post('/fine_tuning/sweeps', sweepBody(file.id));
  const endpoint = await post('/webhook_endpoints', { name: 'a', url: 'https://example.com/hook', event_types: ['fine_tuning.job.succeeded'] });

  const [projectKey, adminKey] = [
    await createKey({ organizationId: 'graft', projectId: project }, { name: 'a', scopes: ['read'] }, services),
    await createKey({ organizationId: 'graft', projectId: null }, { name: 'a', scopes: ['admin'] }, services),
  ];
  const permissions = await post(`/fine_tuning/checkpoints/${encodeURIComponent(made.checkpoint)}/permissions`, { project_ids: ['graft'] });
  const account = await services.serviceAccounts.create(project, 'pipeline');
  return {
    parameters: {
      file_id: file.id,
      upload_id: upload.id,
      job_id: jobId,
      step: '5',
      filename: 'adapter_config.json',
      model: made.model,
      fine_tuned_model_checkpoint: made.checkpoint,
      export_id: await makeExport(service, made.model, post),
      sweep_id: sweep.id,
      permission_id: permissions.data![0]!.id,
      webhook_endpoint_id: endpoint.id,
      project_id: project,
      api_key_id: projectKey.key.id,
      key_id: adminKey.key.id,
      service_account_id: account.id,
      rate_limit_id: 'rl-requests',
    },
    others: [part.id, made.resultFile, made.checkpoint],
    partId: part.id,
    mayBeLate: [
      ...['addUploadPart', 'completeUpload', 'cancelUpload'],
      ...['cancelFineTuningJob', 'pauseFineTuningJob', 'resumeFineTuningJob', 'testWebhookEndpoint'],
    ],
  };
}

/** As a worker does. */
async function makeExport(
  { services }: RunningService,
  model: string,
  post: (url: string, body: object) => Promise<{ id: string }>,
): Promise<string> {
  const { exports, objectStore } = services;
  const { id } = await post('/exports', { model, format: 'gguf' });
  const claimed = (await exports.claim({ id, attempt: 0 }, WORKER))!;
  const folder = keys.newExport(claimed.jobId, id, claimed.attempt);
  const content = '{"r":8}';
  await objectStore.put(`${folder}adapter_config.json`, content);
  const files = [{ name: 'adapter_config.json', bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') }];
  await exports.keep(claimed, { folder, files, warnings: [], proof: null, keepDays: 1 });
  await exports.succeed(claimed, { hub: null, vllmName: null });
  return id;
}

/** As a worker does. */
async function succeed({ services }: RunningService, jobId: string) {
  const { jobs, jobRecord, objectStore, reports } = services;
  const job = (await jobs.claim(jobId, WORKER))!;
  const { attempt } = job;
  await jobs.move(jobId, 'read', { attempt });
  await jobs.move(jobId, 'start', { attempt });
  const adapterFolder = keys.newDelivery(jobId, attempt);
  const folder = keys.newCheckpoint(jobId, attempt, 5);
  const content = '{"r":8}';
  const sha256 = createHash('sha256').update(content).digest('hex');
  const files = [];
  for (const name of ['adapter_config.json', 'adapter_model.safetensors']) {
    await objectStore.put(adapterFolder + name, content);
    await objectStore.put(keys.checkpointAdapter(folder) + name, content);
    files.push({ name: `adapter/${name}`, bytes: content.length, sha256 });
  }
  const checkpoint = (await jobRecord.addCheckpoint(job, { step: 5, folder, metrics: { step: 5 }, files }))!;
  const kept = { receipt: TokenReceipt, proof: AdapterProof, lineage: Lineage, resumes: Resumes };
  const shapes = { ...kept, dry_run: DryRun, evaluations: EvaluationReport, analysis: Analysis };
  for (const [kind, shape] of Object.entries(shapes)) await reports.put(job, kind as 'receipt', sample(shape) as TokenReceipt);
  const written = { step: 5, prompt: 0, text: 'b', tokens: 1, finishReason: 'stop', event: { level: 'info', message: 'b' } } as const;
  await services.samples.add(job, [written]);
  const model = fineTunedModelName(job);
  const file = { id: newFileId(), filename: 'adapter_config.json', purpose: 'fine-tune-results' as const, sizeBytes: content.length, sha256 };
  const result = { ...file, storageKey: `${adapterFolder}adapter_config.json` };
  await jobs.succeed(job, { fineTunedModel: model, adapterFolder, trainedTokens: 8, files: [result], events: [] });
  return { model, resultFile: file.id, checkpoint: checkpoint.name };
}

/** A value of a report's shape; what may be anything is null. */
const sample = (shape: TSchema): unknown =>
  JSON.parse(JSON.stringify(Value.Create(shape), (_, value: unknown) => (value === undefined ? null : value)));

const sweepBody = (file: string | undefined) => ({
  base: { model: 'graft-tiny', training_file: file },
  metric: 'train_loss',
  search: { strategy: 'grid', parameters: { seed: [1, 2] } },
});

export type Body = { payload: string; 'content-type': string };

export const json = (body: object): Body => ({ payload: JSON.stringify(body), 'content-type': 'application/json' });

/** Operations whose body cannot name anything that somebody owns. */
export const bodiesWithoutNames = [
  ...['createUpload', 'createWebhookEndpoint', 'createProject', 'createAdminApiKey'],
  ...['runGrader', 'validateGrader'],
];

/** A valid body for each other operation that takes one, by its id. */
export function bodies({ parameters, partId }: Owned): Record<string, Body> {
  const name = json({ name: 'another name' });
  const { model } = parameters;
  return {
    createChatCompletion: json({ model, messages: [{ role: 'user', content: 'Hello' }] }),
    createCompletion: json({ model, prompt: 'Hello' }),
    createResponse: json({ model, input: 'Hello' }),
    createExport: json({ model, format: 'gguf' }),
    createFile: multipart({ purpose: 'fine-tune', file: LINE }),
    addUploadPart: multipart({ data: LINE }),
    completeUpload: json({ part_ids: [partId] }),
    createFineTuningJob: json({ model: 'graft-tiny', training_file: parameters['file_id'] }),
    createFineTuningSweep: json(sweepBody(parameters['file_id'])),
    estimateFineTuningJob: json({ model: 'graft-tiny', training_file: parameters['file_id'] }),
    createFineTuningCheckpointPermission: json({ project_ids: ['graft'] }),
    updateWebhookEndpoint: name,
    rotateWebhookEndpointSecret: json({}),
    testWebhookEndpoint: json({ event_type: 'fine_tuning.job.failed' }),
    modifyProject: name,
    updateProjectRateLimits: json({ max_requests_per_1_minute: 100_000 }),
    createProjectApiKey: name,
    updateProjectApiKey: json({ scopes: [] }),
    createProjectServiceAccount: name,
    updateProjectServiceAccount: name,
    createProjectServiceAccountApiKey: name,
  };
}

const BOUNDARY = 'the-boundary-of-the-parts';

/** @param fields  those whose content is text of a dataset are sent as files */
function multipart(fields: Record<string, string>): Body {
  const parts = Object.entries(fields).map(([name, value]) => {
    const filename = value === LINE ? '; filename="a.jsonl"' : '';
    return `--${BOUNDARY}\r\ncontent-disposition: form-data; name="${name}"${filename}\r\n\r\n${value}\r\n`;
  });
  return { payload: `${parts.join('')}--${BOUNDARY}--\r\n`, 'content-type': `multipart/form-data; boundary=${BOUNDARY}` };
}
