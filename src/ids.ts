import { createHash, randomInt } from 'node:crypto';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** 62²⁴ possibilities: 142 bits, as unguessable as a UUID. */
const RANDOM_CHARACTERS = 24;

/** 128 bits. */
const HASH_CHARACTERS = 32;

const random = (): string => Array.from({ length: RANDOM_CHARACTERS }, () => alphabet[randomInt(alphabet.length)]).join('');

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, HASH_CHARACTERS);

export const newFileId = (): string => `file-${random()}`;
export const newUploadId = (): string => `upload_${random()}`;
export const newUploadPartId = (): string => `part_${random()}`;
export const newJobId = (): string => `ftjob-${random()}`;
export const newEventId = (): string => `ftevent-${random()}`;
export const newCheckpointId = (): string => `ftckpt_${random()}`;
export const newSampleId = (): string => `ftsample_${random()}`;
export const newOrganizationId = (): string => `org-${random()}`;
export const newProjectId = (): string => `proj_${random()}`;
export const newServiceAccountId = (): string => `svc_acct_${random()}`;
export const newKeyId = (): string => `key_${random()}`;
export const newAuditId = (): string => `audit_log-${random()}`;
export const newEndpointId = (): string => `whe_${random()}`;
export const newDeliveryId = (): string => `wh_${random()}`;
export const newWebhookEventId = (): string => `evt_${random()}`;
export const newChatCompletionId = (): string => `chatcmpl-${random()}`;
export const newCompletionId = (): string => `cmpl-${random()}`;
export const newResponseId = (): string => `resp_${random()}`;
export const newMessageId = (): string => `msg_${random()}`;
export const newFunctionCallId = (): string => `fc_${random()}`;
export const newToolCallId = (): string => `call_${random()}`;
export const newExportId = (): string => `export-${random()}`;
export const newExportEventId = (): string => `exportevent-${random()}`;
/** @param claim of the request that creates it: repeated, it creates no second one */
export const newSweepId = (claim?: string): string => `ftsweep-${claim === undefined ? random() : hashOf(claim)}`;
export const newPermissionId = (): string => `cp_${random()}`;

/** The organization and the project that are there from the first start. Rows of versions before projects belong to them. */
export const DEFAULT_ORGANIZATION = 'graft';
export const DEFAULT_PROJECT = 'graft';

/** A tuned model's name ends with this many characters of the job's id: 62⁸ possibilities, and the column is unique as well. */
const MODEL_ID_CHARACTERS = 8;

interface TuningJob {
  id: string;
  organization: string;
  model: string;
  suffix: string | null;
}

/** How the name of every tuned model begins. */
export const TUNED_PREFIX = 'ft:';

/** `ft:{base}:{organization}:{suffix}:{id}`; the same job always gets the same name. */
export function fineTunedModelName(job: TuningJob): string {
  return `${TUNED_PREFIX}${job.model}:${job.organization}:${job.suffix ?? ''}:${job.id.slice(-MODEL_ID_CHARACTERS)}`;
}

/** `ft:…:ckpt-step-N` */
export function checkpointModelName(job: TuningJob, step: number): string {
  return fineTunedModelName(job) + checkpointSuffix(step);
}

/** What separates a checkpoint's step from its model's name. */
export const CHECKPOINT_MARK = ':ckpt-step-';

/** How the names of checkpoints of this step end. */
export const checkpointSuffix = (step: number): string => `${CHECKPOINT_MARK}${step}`;
