import { Refusal } from '../formats/refusal.ts';
import type { Job } from './job.ts';

/** What a job that has ended answers to a cancel or a pause. 400, not 409: the official client retries a conflict by itself. */
export const alreadyEnded = ({ id, status }: Pick<Job, 'id' | 'status'>): Refusal =>
  new Refusal('fine_tune_already_finished', `The job "${id}" has already ${status === 'cancelled' ? 'been cancelled' : status}`);
