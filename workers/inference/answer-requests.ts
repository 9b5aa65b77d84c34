import { serveChat } from '../../src/chat/queue.ts';
import type { Services } from '../../src/services.ts';
import type { Device } from '../devices.ts';
import { openServing, type ServingOptions } from './serving.ts';

export interface AnsweringWorker {
  /** Before a job trains on these devices. */
  makeRoom(devices: readonly Device[]): Promise<void>;
  /** Ends what is being answered. */
  close(): Promise<void>;
}

type Options = Omit<ServingOptions, 'services' | 'onChange'> & { workerId: string };

/** Takes the requests for text that are sent to this worker. @returns null if the operator wants none here */
export function answerRequests(services: Pick<Services, 'config' | 'urls' | 'objectStore' | 'hub'>, options: Options): AnsweringWorker | null {
  if (services.config.chat.requests === 0) return null;
  const { workerId, log } = options;
  let onChange = () => {};
  const serving = openServing({ ...options, services, onChange: () => onChange() });
  const onError = (error: Error) => log.error({ err: error }, 'requests for text cannot be taken: Redis does not answer');
  const taking = serveChat(services.urls.redis, workerId, { status: serving.status, generate: serving.generate, onError });
  onChange = taking.announce;
  return {
    makeRoom: serving.makeRoom,
    async close() {
      await taking.close();
      await serving.close();
    },
  };
}
