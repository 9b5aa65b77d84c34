import { randomUUID } from 'node:crypto';

/**
 * Every path in the object store.
 *
 * Whatever a job uploads gets a folder that no other upload has, and counts once a row names that folder. So a worker that lost its job, or wakes up
 * late, can neither overwrite nor delete what another attempt wrote.
 */
export const keys = {
  /** All files, everything of all jobs, and the parts of all uploads. */
  files: 'files/',
  jobs: 'jobs/',
  uploads: 'uploads/',
  file: (fileId: string) => `files/${fileId}`,
  /** A new object for what a table becomes: several processes may read it in vain. */
  newConverted: (fileId: string) => `files/${fileId}-${randomUUID()}`,
  isOfFile: (key: string, fileId: string) => key.startsWith(`files/${fileId}`),
  /** The parts of an upload, until it has ended. */
  upload: (uploadId: string) => `uploads/${uploadId}/`,
  uploadPart: (uploadId: string, partId: string) => `uploads/${uploadId}/${partId}`,
  job: (jobId: string) => `jobs/${jobId}/`,
  /** A new folder for what an attempt delivers: the adapter directory, or the model directory of full fine-tuning. */
  newDelivery: (jobId: string, attempt: number) => `jobs/${jobId}/attempts/${attempt}/delivery-${randomUUID()}/`,
  /** A new folder for a checkpoint: what it would deliver, and beside it the state to resume from. */
  newCheckpoint: (jobId: string, attempt: number, step: number) => `jobs/${jobId}/attempts/${attempt}/checkpoint-${step}-${randomUUID()}/`,
  /** A new folder for what an attempt of an export makes: it goes with its job. */
  newExport: (jobId: string, exportId: string, attempt: number) => `jobs/${jobId}/exports/${exportId}/${attempt}-${randomUUID()}/`,
  /** The adapter in a checkpoint's folder. */
  checkpointAdapter: (checkpointFolder: string) => `${checkpointFolder}adapter/`,
  /** Jobs of older versions, whose rows name no folder, have one for all attempts. */
  olderAdapter: (jobId: string) => `jobs/${jobId}/adapter/`,
  olderCheckpoint: (jobId: string, step: number) => `jobs/${jobId}/checkpoints/${step}/`,
};

/** The folder of a job's upload that an object belongs to, and the attempt that wrote it; null for objects of older versions. */
export function uploadOf(key: string): { folder: string; attempt: number } | null {
  const [folder, attempt] = /^jobs\/[^/]+\/attempts\/(\d+)\/[^/]+\//.exec(key) ?? [];
  return folder === undefined ? null : { folder, attempt: Number(attempt) };
}

/** The export that an object belongs to, and its folder; null for others. */
export function exportOf(key: string): { folder: string; exportId: string } | null {
  const [folder, exportId] = /^jobs\/[^/]+\/exports\/([^/]+)\/[^/]+\//.exec(key) ?? [];
  return folder === undefined ? null : { folder, exportId: exportId! };
}
