/** `npm start`: the HTTP service, its own workers, and the servers that no URL replaces. */
import type { FastifyInstance } from 'fastify';
import { loadApiKey } from './accounts/api-key.ts';
import { buildApp } from './app.ts';
import { readConfig } from './config.ts';
import { openDataDir } from './data-dir.ts';
import { startWorkers } from './embedded/worker-processes.ts';
import { redacted } from './formats/secrets.ts';
import { logUnhandledErrors, openLog } from './log.ts';
import { logDestination } from './log-destination.ts';
import { openServices } from './services.ts';
import { listenProblem } from './start-problems.ts';
import { exitWithin, REQUESTS_STOP_MS, START_STOP_MS, STOP_DEADLINE_MS } from './stop-in-time.ts';
import { startUpkeep } from './upkeep.ts';

async function main(): Promise<void> {
  const stopSignal = new Promise<string>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => resolve(signal));
  });
  const config = readConfig();
  const log = openLog(config.logLevel, await logDestination(config.logFormat));
  logUnhandledErrors(log);
  openDataDir(config.dataDir, log);

  const apiKey = await loadApiKey(config);
  const opening = openServices(config, log);
  const signalled = await Promise.race([stopSignal, opening.then(() => null)]);
  if (signalled !== null) {
    log.info({ signal: signalled }, 'stopping during the start');
    exitWithin(START_STOP_MS, () => log.warn('what was being started did not end in time and is left as it is; the next start takes care of it'));
  }
  const services = await opening;
  const closers: (() => Promise<unknown>)[] = [() => services.close()];
  try {
    if (signalled !== null) return;
    services.instruments.watchProcess();
    const upkeep = startUpkeep(services);
    closers.push(() => upkeep.stop());
    const workers = startWorkers(services, { onExit: () => upkeep.wake() });
    closers.push(() => workers.stop());
    const app = await buildApp(services, { apiKey: apiKey.key });
    // Together: workers write their checkpoints while requests end.
    closers.push(() => Promise.all([workers.stop(), closeApp(app)]));
    const address = await app.listen({ host: config.host, port: config.port }).catch((error: NodeJS.ErrnoException) => {
      throw listenProblem(error, config);
    });
    log.info(
      { address: `${address}/v1`, docs: `${address}/docs`, apiKey: apiKey.path ?? 'ROOT_API_KEY' },
      `Graft listens on ${address}/v1; its key is in ${apiKey.path ?? 'ROOT_API_KEY'}; docs at ${address}/docs`,
    );

    const why = await Promise.race([stopSignal, services.broken]);
    exitWithin(STOP_DEADLINE_MS, () => log.fatal(`not stopped within ${STOP_DEADLINE_MS / 1000} s: what is still open is cut off`));
    if (why instanceof Error) {
      log.fatal({ err: why }, 'stopping, because the service cannot work any more');
      process.exitCode = 1;
    } else log.info({ signal: why }, 'stopping: no new requests, checkpoints of the workers, then the servers');
  } finally {
    // In reverse order: what the rest depends on is closed last.
    for (const closer of closers.reverse()) await closer().catch((error: unknown) => log.error({ err: error }, 'a component did not close cleanly'));
  }
}

/** Lets running requests end, then cuts off those that have not, however slowly they still send. */
async function closeApp(app: FastifyInstance): Promise<void> {
  const late = setTimeout(() => app.server.closeAllConnections(), REQUESTS_STOP_MS);
  await app.close().finally(() => clearTimeout(late));
}

main()
  .catch((error: unknown) => {
    process.stderr.write(redacted(`${error instanceof Error ? error.message : String(error)}\n`));
    if (error instanceof Error && error.cause) process.stderr.write(redacted(`${String(error.cause)}\n`));
    process.exitCode = 1;
  })
  // A connection that would not close must not keep the process.
  .finally(() => process.exit());
