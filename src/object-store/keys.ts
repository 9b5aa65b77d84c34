/** Every path in the object store. */
export const keys = {
  file: (fileId: string) => `files/${fileId}`,
  /** The delivered adapter directory (or model directory) of a job. */
  adapter: (jobId: string) => `jobs/${jobId}/adapter/`,
  /** The adapter of a checkpoint; the state to resume from is stored beside it. */
  checkpointAdapter: (jobId: string, step: number) => `jobs/${jobId}/checkpoints/${step}/adapter/`,
  checkpoint: (jobId: string, step: number) => `jobs/${jobId}/checkpoints/${step}/`,
  job: (jobId: string) => `jobs/${jobId}/`,
};
