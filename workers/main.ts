/** The worker program: `npm run worker`. `npm start` runs it beside the API. */
import { readConfig, trainingEnvironment } from '../src/config.ts';
import { openDataDir } from '../src/data-dir.ts';
import { sayAlive } from '../src/embedded/end-if-silent.ts';
import { TAKES_JOBS } from '../src/embedded/worker-processes.ts';
import { logUnhandledErrors, openLog } from '../src/log.ts';
import { logDestination } from '../src/log-destination.ts';
import { openServices } from '../src/services.ts';
import { exitWithin, STOP_DEADLINE_MS, WORKERS_STOP_MS } from '../src/stop-in-time.ts';
import { findDevices } from './devices.ts';
import { serveMetrics } from './monitoring/metrics-server.ts';
import { openWorkerInstruments } from './monitoring/worker-instruments.ts';
import { confinement } from './process/confinement.ts';
import { forkTraining } from './process/forked.ts';
import { dieWithParent } from './process/parent-death.ts';
import { serviceFiles } from './service-files.ts';
import { startWorker } from './worker.ts';

// It stops by itself when the service that started it is gone (see `disconnect`), unless its event loop hangs.
if (process.send !== undefined) dieWithParent({ graceMs: STOP_DEADLINE_MS });
sayAlive();

const config = readConfig();
const log = openLog(config.logLevel, await logDestination(config.logFormat));
logUnhandledErrors(log);
openDataDir(config.dataDir, log);
const services = await openServices(config, log, 'worker');
const environment = trainingEnvironment();
const { prefix, achieved, problem } = confinement({
  hidden: serviceFiles(services),
  namespaces: config.confineTraining,
  maxMemoryBytes: config.trainingMemoryBytes,
  wrapper: config.trainingWrapper,
});
if (problem === null) log.info({ achieved }, 'training processes are confined');
else log.warn({ achieved, problem }, 'training processes are not confined as they could be: this system does not allow it');
const { workerPort } = config.monitoring;
const instruments = workerPort === null ? null : openWorkerInstruments(services.instruments);
if (workerPort !== null) {
  services.instruments.watchProcess();
  await serveMetrics(services, workerPort);
}
const worker = await startWorker(services, {
  devices: await findDevices(environment['CUDA_VISIBLE_DEVICES']),
  trainingEnvironment: environment,
  fork: (options) => {
    const training = forkTraining({ ...options, prefix });
    return instruments?.observe(training) ?? training;
  },
  inferencePrefix: prefix,
});
process.send?.(TAKES_JOBS, undefined, undefined, () => {});

let stopping = false;
async function stop(why: string, exitCode = 0): Promise<void> {
  if (stopping) return;
  stopping = true;
  exitWithin(WORKERS_STOP_MS, () =>
    log.fatal(`not stopped within ${WORKERS_STOP_MS / 1000} s: jobs resume from the last checkpoint that was stored`),
  );
  log.info({ why }, 'the worker is stopping: jobs write a checkpoint and go back to the queue');
  try {
    await worker.stop();
    await services.close();
    process.exit(exitCode);
  } catch (error) {
    log.fatal({ err: error }, 'the worker did not stop cleanly');
    process.exit(1);
  }
}
process.on('SIGTERM', () => void stop('SIGTERM'));
process.on('SIGINT', () => void stop('SIGINT'));
// Only with a parent: the API process that started this worker has exited.
process.on('disconnect', () => void stop('the service has exited'));
void services.broken.then((error) => {
  log.fatal({ err: error }, 'the worker cannot work any more');
  return stop(error.message, 1);
});
