import { randomInt } from 'node:crypto';

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** 62²⁴ possibilities: 142 bits, as unguessable as a UUID. */
const RANDOM_CHARACTERS = 24;

const random = (): string => Array.from({ length: RANDOM_CHARACTERS }, () => alphabet[randomInt(alphabet.length)]).join('');

export const newFileId = (): string => `file-${random()}`;
export const newJobId = (): string => `ftjob-${random()}`;
export const newEventId = (): string => `ftevent-${random()}`;
export const newCheckpointId = (): string => `ftckpt_${random()}`;

/** Whose models these are: the third part of a tuned model's name and the `owned_by` of every model. */
export const ORGANIZATION = 'graft';

/** Characters of the job's id that end a tuned model's name: 62⁸, and the column is unique besides. */
const MODEL_ID_CHARACTERS = 8;

/** `ft:{base}:{organization}:{suffix}:{id}`; the same job always gets the same name. */
export function fineTunedModelName(job: { id: string; model: string; suffix: string | null }): string {
  return `ft:${job.model}:${ORGANIZATION}:${job.suffix ?? ''}:${job.id.slice(-MODEL_ID_CHARACTERS)}`;
}

/** `ft:…:ckpt-step-N` */
export function checkpointModelName(job: { id: string; model: string; suffix: string | null }, step: number): string {
  return `${fineTunedModelName(job)}:ckpt-step-${step}`;
}
