/** The worker: `npm run worker`, and what `npm start` runs beside the API. */
import { readConfig, trainingEnvironment } from '../src/config.ts';
import { openServices } from '../src/services.ts';
import { findDevices } from './devices.ts';
import { startWorker } from './worker.ts';

const services = await openServices(readConfig());
const { log } = services;
const environment = trainingEnvironment();
const worker = await startWorker(services, {
  devices: await findDevices(environment['CUDA_VISIBLE_DEVICES']),
  trainingEnvironment: environment,
});

let stopping = false;
async function stop(why: string): Promise<void> {
  if (stopping) return;
  stopping = true;
  log.info({ why }, 'worker stops: jobs write a checkpoint and go back to the queue');
  try {
    await worker.stop();
    await services.close();
    process.exit(0);
  } catch (error) {
    log.fatal({ err: error }, 'the worker did not stop cleanly');
    process.exit(1);
  }
}
process.on('SIGTERM', () => void stop('SIGTERM'));
process.on('SIGINT', () => void stop('SIGINT'));
// Started by the API process, which is gone.
process.on('disconnect', () => void stop('the service is gone'));
