import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type AccessStore, openAccessStore } from './accounts/access-store.ts';
import { openQuotaStore, type QuotaStore } from './accounts/quota-store.ts';
import { type KeyStore, openKeyStore } from './api-keys/store.ts';
import { type AuditStore, openAuditStore } from './audit/store.ts';
import type { Config } from './config.ts';
import { type CurveStore, openCurveStore } from './curves/store.ts';
import { type Database, openDatabase } from './database/client.ts';
import { openListener } from './database/listener.ts';
import { migrate } from './database/migrate.ts';
import type { EmbeddedOptions } from './embedded/embedded.ts';
import { EVENT_NOTICES, type EventFeeds, openEventFeeds } from './event-streams/feeds.ts';
import { type ExportRecord, openExportRecord } from './exports/event-store.ts';
import { type ExportStore, openExportStore } from './exports/store.ts';
import { type FileStore, openFileStore } from './files/store.ts';
import { openValidationStore, type ValidationStore } from './files/validation-store.ts';
import { openValidator, type Validator } from './files/validator.ts';
import { type Hub, openHub } from './hub/hub.ts';
import { type IntegrationRunStore, openIntegrationRunStore } from './integrations/run-store.ts';
import { type DemandStore, openDemandStore } from './jobs/demand-store.ts';
import { type JobQueue, openQueue } from './jobs/queue.ts';
import { type JobRecord, openJobRecord } from './jobs/record-store.ts';
import { openRetentionStore, type RetentionStore } from './jobs/retention-store.ts';
import { openSetbackStore, type SetbackStore } from './jobs/setback-store.ts';
import { type JobStore, openJobStore } from './jobs/store.ts';
import { openLog } from './log.ts';
import { type MachineStore, openMachineStore } from './machines/store.ts';
import { type ModelStore, openModelStore } from './models/store.ts';
import { type Instruments, openInstruments } from './monitoring/instruments.ts';
import { openTotalsStore, type TotalsStore } from './monitoring/totals-store.ts';
import type { ObjectStore } from './object-store/object-store.ts';
import { openObjectStore } from './object-store/open.ts';
import { type OrganizationStore, openOrganizationStore } from './organizations/store.ts';
import { openPermissionStore, type PermissionStore } from './permissions/store.ts';
import { openProjectStore, type ProjectStore } from './projects/store.ts';
import { openReportStore, type ReportStore } from './reports/store.ts';
import { openRetryStore, type RetryStore } from './retries/store.ts';
import { openSampleStore, type SampleStore } from './samples/store.ts';
import { openSecretBox, type SecretBox } from './secret-box.ts';
import { openServiceAccountStore, type ServiceAccountStore } from './service-accounts/store.ts';
import { databaseProblem, redisProblem } from './start-problems.ts';
import { openSweepStore, type SweepStore } from './sweeps/store.ts';
import { openTracing } from './tracing/open.ts';
import type { Tracing } from './tracing/tracing.ts';
import { openUploadStore, type UploadStore } from './uploads/store.ts';
import { type DeliveryStore, openDeliveryStore } from './webhooks/delivery-store.ts';
import { type EndpointStore, openEndpointStore } from './webhooks/endpoint-store.ts';

/** What the API and the workers depend on, opened once. */
export interface Services {
  config: Config;
  log: Logger;
  /** Addresses of the servers, embedded or not, which a worker process needs to connect. */
  urls: { database: string; redis: string; storage: string };
  database: Database;
  access: AccessStore;
  quotas: QuotaStore;
  organizations: OrganizationStore;
  projects: ProjectStore;
  keys: KeyStore;
  serviceAccounts: ServiceAccountStore;
  audit: AuditStore;
  files: FileStore;
  uploads: UploadStore;
  validations: ValidationStore;
  /** Reads uploaded datasets once it is woken, which only the API does. */
  validator: Validator;
  jobs: JobStore;
  jobRecord: JobRecord;
  eventFeeds: EventFeeds;
  setbacks: SetbackStore;
  demand: DemandStore;
  curves: CurveStore;
  models: ModelStore;
  machines: MachineStore;
  reports: ReportStore;
  samples: SampleStore;
  retention: RetentionStore;
  exports: ExportStore;
  exportRecord: ExportRecord;
  sweeps: SweepStore;
  permissions: PermissionStore;
  webhooks: EndpointStore;
  deliveries: DeliveryStore;
  secrets: SecretBox;
  retries: RetryStore;
  integrationRuns: IntegrationRunStore;
  totals: TotalsStore;
  /** What this process counts of its own work. */
  instruments: Instruments;
  tracing: Tracing;
  queue: JobQueue;
  objectStore: ObjectStore;
  hub: Hub;
  /** Resolves when an embedded server has ended and cannot be started again: the process should end, and say so. */
  broken: Promise<Error>;
  /** Closes everything in reverse order, a component that does not answer too; the embedded servers stop last. */
  close(): Promise<void>;
}

/**
 * Starts the embedded servers that no URL replaces, brings the database's schema up to date and opens the rest.
 * @param part  of the service that the process is, for traces
 * @throws the error of the first component that fails to open; those already open are closed again
 */
export async function openServices(config: Config, log: Logger = openLog(config.logLevel), part: 'api' | 'worker' = 'api'): Promise<Services> {
  const closers: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse())
      await closeInTime(closer).catch((error) => log.error({ err: error }, 'a component did not close'));
  };
  let onGivenUp = (_error: Error) => {};
  const broken = new Promise<Error>((resolve) => {
    onGivenUp = resolve;
  });
  try {
    const urls = { ...(await serverUrls(config, { closers, log, onGivenUp })), storage: config.storageUrl };

    const applied = await migrate(urls.database).catch((error: Error) => {
      throw databaseProblem(error, config);
    });
    if (applied.length > 0) log.info({ migrations: applied }, 'database schema brought up to date');
    const database = openDatabase(urls.database);
    closers.push(() => database.$disconnect());

    const tracing = await openTracing(config.tracing, { part, log });
    closers.push(() => tracing.close());

    const queue = openQueue(urls.redis, { onError: (error) => log.error({ err: error }, redisProblem(config)) });
    closers.push(() => queue.close());

    const objectStore = await openObjectStore(urls.storage);
    closers.push(() => objectStore.close());

    const stores = {
      access: openAccessStore(database),
      quotas: openQuotaStore(database),
      organizations: openOrganizationStore(database),
      projects: openProjectStore(database),
      keys: openKeyStore(database),
      serviceAccounts: openServiceAccountStore(database),
      audit: openAuditStore(database),
      files: openFileStore(database),
      uploads: openUploadStore(database),
      validations: openValidationStore(database),
      jobs: openJobStore(database),
      jobRecord: openJobRecord(database),
      setbacks: openSetbackStore(database),
      demand: openDemandStore(database),
      curves: openCurveStore(database),
      models: openModelStore(database),
      machines: openMachineStore(database),
      reports: openReportStore(database),
      samples: openSampleStore(database),
      retention: openRetentionStore(database),
      exports: openExportStore(database),
      exportRecord: openExportRecord(database),
      sweeps: openSweepStore(database),
      permissions: openPermissionStore(database),
      webhooks: openEndpointStore(database),
      deliveries: openDeliveryStore(database),
      secrets: openSecretBox(config),
      retries: openRetryStore(database),
      integrationRuns: openIntegrationRunStore(database),
      totals: openTotalsStore(database),
      instruments: openInstruments(),
    };
    const listener = openListener(urls.database, { channel: EVENT_NOTICES, log });
    closers.push(() => listener.close());
    const eventFeeds = openEventFeeds({ listener, log });
    const validator = openValidator({ validations: stores.validations, objectStore, storageUrl: urls.storage, log });
    closers.push(() => validator.stop());
    return { config, log, urls, database, ...stores, validator, eventFeeds, tracing, queue, objectStore, hub: openHub(config.hub), broken, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A connection to a server that is gone may wait for it. Less than `STOP_DEADLINE_MS`, more than an embedded server takes to end. */
const CLOSE_TIMEOUT_MS = 25_000;

async function closeInTime(closer: () => Promise<unknown>): Promise<void> {
  const closed = new AbortController();
  const late = delay(CLOSE_TIMEOUT_MS, undefined, { signal: closed.signal }).then(() => {
    throw new Error(`a component took longer than ${CLOSE_TIMEOUT_MS / 1000} s to close`);
  });
  late.catch(() => {});
  try {
    await Promise.race([closer(), late]);
  } finally {
    closed.abort();
  }
}

interface Opening extends Pick<EmbeddedOptions, 'log' | 'onGivenUp'> {
  closers: (() => Promise<unknown>)[];
}

/** Starts the embedded servers that no URL replaces. */
export async function serverUrls(config: Config, { closers, ...options }: Opening): Promise<{ database: string; redis: string }> {
  const { databaseUrl, redisUrl, dataDir } = config;
  if (databaseUrl !== null && redisUrl !== null) return { database: databaseUrl, redis: redisUrl };
  const { startEmbedded } = await import('./embedded/embedded.ts'); // not loaded in production
  const embedded = await startEmbedded({ dataDir, postgres: databaseUrl === null, redis: redisUrl === null, ...options });
  closers.push(() => embedded.stop());
  return { database: databaseUrl ?? embedded.databaseUrl!, redis: redisUrl ?? embedded.redisUrl! };
}
