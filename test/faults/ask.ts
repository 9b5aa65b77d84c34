import { type Api, Refused } from './api.ts';

/**
 * Asks for something to be done with a job: `cancel`, `pause`, `resume`.
 * @returns whether the service did it; false: the job had ended, or was in a state in which it is refused
 */
export async function ask(api: Api, jobId: string, action: string): Promise<boolean> {
  try {
    await api.ask('POST', `/fine_tuning/jobs/${jobId}/${action}`);
    return true;
  } catch (error) {
    if (error instanceof Refused && error.status < 500 && error.status !== 404) return false;
    throw error;
  }
}
