/** `npm start`: the HTTP service, its own workers, and the servers that no URL replaces. */
import { loadApiKey } from './accounts/api-key.ts';
import { buildApp } from './app.ts';
import { readConfig } from './config.ts';
import { openDataDir } from './data-dir.ts';
import { startWorkers } from './embedded/worker-processes.ts';
import { redacted } from './formats/secrets.ts';
import { logUnhandledErrors, openLog } from './log.ts';
import { openServices } from './services.ts';
import { startUpkeep } from './upkeep.ts';

async function main(): Promise<void> {
  const config = readConfig();
  const log = openLog(config.logLevel);
  logUnhandledErrors(log);
  openDataDir(config.dataDir, log);

  const stopSignal = new Promise<string>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => resolve(signal));
  });

  const apiKey = await loadApiKey(config);
  const services = await openServices(config, log);
  const closers: (() => Promise<unknown>)[] = [() => services.close()];
  try {
    const app = await buildApp(services, { apiKey: apiKey.key });
    const upkeep = startUpkeep(services);
    closers.push(() => upkeep.stop());
    const workers = startWorkers(services);
    closers.push(() => workers.stop());
    closers.push(() => app.close());
    const address = await app.listen({ host: config.host, port: config.port });
    log.info(
      { address: `${address}/v1`, docs: `${address}/docs`, apiKey: apiKey.path ?? 'ROOT_API_KEY' },
      `Graft listens on ${address}/v1; its key is in ${apiKey.path ?? 'ROOT_API_KEY'}; docs at ${address}/docs`,
    );

    log.info({ signal: await stopSignal }, 'stopping: no new requests, then the workers, then the servers');
  } finally {
    // In reverse order: stop answering, stop the workers, then close what they depend on.
    for (const closer of closers.reverse()) await closer().catch((error: unknown) => log.error({ err: error }, 'a component did not close cleanly'));
  }
}

main().catch((error: unknown) => {
  process.stderr.write(redacted(`${error instanceof Error ? error.message : String(error)}\n`));
  if (error instanceof Error && error.cause) process.stderr.write(redacted(`${String(error.cause)}\n`));
  process.exitCode = 1;
});
