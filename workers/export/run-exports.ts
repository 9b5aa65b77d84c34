/** Makes exports, one at a time: claims one, fetches its model, has a process write the files, stores them. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { brokenOffEvent, pushingEvent } from '../../src/exports/events.ts';
import type { Export } from '../../src/exports/export.ts';
import type { ConvertedFormat } from '../../src/formats/export-format.ts';
import { CONFIG_FILE } from '../../src/formats/model-files.ts';
import { parseModelConfig } from '../../src/formats/parse-model-config.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import { announcedName } from '../../src/hub/hub-name.ts';
import { keys } from '../../src/object-store/keys.ts';
import type { Services } from '../../src/services.ts';
import type { VllmConfig } from '../../src/vllm/config.ts';
import { downloadModel } from '../base-models/download.ts';
import { type HeldDirectory, unswept } from '../base-models/held-directory.ts';
import type { ReadyDirectory } from '../base-models/ready-directory.ts';
import type { ExportResult } from '../engine/export/export.ts';
import { CARD_FILE } from '../engine/io/adapter-card.ts';
import { isAvailable } from '../job/base-model.ts';
import { fetchStoredModel } from '../job/start-from.ts';
import { downloadFiles, filesIn, uploadDirectory } from '../job/stored-directory.ts';
import { TrainingProcessDied } from '../process/died.ts';
import { exportInProcess } from './forked.ts';
import { modelCard } from './model-card.ts';
import { pushExport } from './push-export.ts';
import { LOOK_AFTER_EVERY_MS, lookAfterAdapters, serveAdapter } from './serve-adapters.ts';

/** How often a worker looks for an export: nobody waits for one by the second. */
const LOOK_EVERY_MS = 2_000;
const HEARTBEAT_EVERY_MS = 1_000;
/** Exports looked at for one that this machine has the base model of. */
const LOOKED_AT = 100;

interface Options {
  services: Pick<Services, 'config' | 'exports' | 'reports' | 'jobs' | 'jobRecord' | 'objectStore' | 'hub' | 'secrets'>;
  workerId: string;
  /** Holds this worker's files; removed with it. */
  workDir: string;
  /** @returns the directory of a base model on this machine; null if it is not here */
  modelDir(base: { model: string; modelRevision: string | null }): string | null;
  readyDir: ReadyDirectory;
  environment: Record<string, string>;
  /** Put before the command of an export process: confinement.ts. */
  prefix: readonly string[];
  log: Logger;
}

class ExportLost extends Error {
  override readonly name = 'ExportLost';
}
class WorkerStops extends Error {
  override readonly name = 'WorkerStops';
}

/** @returns `stop` gives back what is being made */
export function runExports(options: Options): { stop(): Promise<void> } {
  const { services, workerId, log } = options;
  const stopping = new AbortController();

  const next = async (): Promise<Export | null> => {
    for (const due of await services.exports.due(LOOKED_AT)) {
      if (!canMake(due, options)) continue;
      const claimed = await services.exports.claim(due, workerId);
      if (claimed !== null) return claimed;
    }
    return null;
  };
  const running = (async () => {
    while (!stopping.signal.aborted) {
      try {
        const one = await next();
        if (one !== null) {
          await carryOut(one, { ...options, stopping: stopping.signal, log: log.child({ exportId: one.id }) });
          continue;
        }
      } catch (error) {
        log.error({ err: error }, 'exports could not be looked for');
      }
      await delay(LOOK_EVERY_MS, undefined, { signal: stopping.signal }).catch(() => {});
    }
  })();
  // One round at a time: a request to a vLLM that hangs takes longer than the pause between them.
  const lookAfter = async (vllm: VllmConfig) => {
    while (await delay(LOOK_AFTER_EVERY_MS, true, { signal: stopping.signal }).catch(() => false))
      await lookAfterAdapters(vllm, { exports: services.exports, log }).catch((error) => log.warn({ err: error }, 'vLLM could not be looked after'));
  };
  if (services.config.vllm !== null) void lookAfter(services.config.vllm);
  return {
    async stop() {
      stopping.abort(new WorkerStops());
      await running;
    },
  };
}

function canMake({ source, format, folder, vllmName }: Export, { services, modelDir }: Options): boolean {
  if (vllmName !== null && services.config.vllm === null) return false;
  if (format === 'peft_adapter' || folder !== null) return true;
  return source.base !== null || modelDir(source) !== null || isAvailable(source, { services });
}

type Running = Options & { stopping: AbortSignal };

async function carryOut(one: Export, options: Running): Promise<void> {
  const { services, workDir, stopping, log } = options;
  const { exports } = services;
  const dir = join(workDir, 'exports', `${one.id}-${one.attempt}`);
  const lost = new AbortController();
  const progress: Pick<Export, 'doneBytes' | 'totalBytes'> = { doneBytes: null, totalBytes: null };
  const beat = async () => {
    // An outage of the database is waited for; a newer attempt shows once it is over.
    if (!(await exports.heartbeat(one, progress).catch(() => true))) lost.abort(new ExportLost());
  };
  const beating = setInterval(() => void beat(), HEARTBEAT_EVERY_MS);
  log.info({ attempt: one.attempt, model: one.model, format: one.format }, 'export taken');
  try {
    await make(one, { ...options, dir, progress, signal: AbortSignal.any([lost.signal, stopping]) });
    log.info('export succeeded');
  } catch (error) {
    if (lost.signal.aborted) log.info('the export was cancelled, deleted or taken over');
    else if (stopping.aborted) await exports.release(one);
    else await end(one, error, options);
  } finally {
    clearInterval(beating);
    await rm(dir, { recursive: true, force: true });
  }
}

/** What the user or the model is to blame for ends the export; anything else is tried again, and counted. */
async function end(one: Export, error: unknown, { services: { exports }, log }: Running): Promise<void> {
  if (error instanceof Refusal) {
    log.info({ code: error.code }, 'export failed');
    await exports.fail(one, { code: error.code, message: error.text, param: error.param });
    return;
  }
  log.error({ err: error }, 'an export failed');
  if (error instanceof TrainingProcessDied && error.code === 'out_of_memory')
    await exports.fail(one, { code: error.code, message: 'The export process ran out of memory', param: null });
  else await exports.addEvent(one, brokenOffEvent);
  // The next worker takes it once this one's heartbeat is old, which also paces the tries.
}

interface Making extends Running {
  dir: string;
  progress: Pick<Export, 'doneBytes' | 'totalBytes'>;
  signal: AbortSignal;
}

async function make(one: Export, making: Making): Promise<void> {
  const { services, dir } = making;
  const { exports, objectStore } = services;
  const output = join(dir, 'output');
  await mkdir(output, { recursive: true });
  // An earlier attempt may have come this far, and have been lost while it handed them on.
  if (one.folder !== null && one.files !== null) {
    if (one.hub !== null || one.vllmName !== null) await downloadFiles(objectStore, { prefix: one.folder, files: one.files, dir: output });
  } else await makeFiles(one, output, making);
  if (one.hub !== null) await exports.addEvent(one, pushingEvent(one.hub.repoId));
  const hub = one.hub && (await pushExport({ ...one, hub: one.hub }, output, making));
  if (one.vllmName !== null) await serveAdapter({ ...one, vllmName: one.vllmName }, output, services.config.vllm!);
  if (!(await exports.succeed(one, { ...one, hub }))) throw new ExportLost();
}

async function makeFiles(one: Export, output: string, making: Making): Promise<void> {
  const { config, exports, objectStore } = making.services;
  const result = one.format === 'peft_adapter' ? await asTrained(one, output, making) : await converted(one, output, making);
  await writeFile(join(output, CARD_FILE), await cardOf(one, result, output, making.services));
  const folder = keys.newExport(one.jobId, one.id, one.attempt);
  const uploaded = await uploadDirectory(objectStore, output, folder);
  const files = uploaded.map(({ name, sizeBytes: bytes, sha256 }) => ({ name, bytes, sha256 }));
  if (await exports.keep(one, { folder, files, ...result, keepDays: config.keepExportsDays })) return;
  await objectStore.deletePrefix(folder);
  throw new ExportLost();
}

async function asTrained({ source }: Export, output: string, { services }: Making): Promise<ExportResult> {
  await fetchStoredModel(source.adapter!, output, services.objectStore);
  return { warnings: [], proof: null };
}

async function converted(one: Export, output: string, { services, dir, progress, signal, environment, prefix, modelDir, readyDir, log }: Making) {
  const { config, objectStore, hub } = services;
  const { source } = one;
  const [base, adapter] = [join(dir, 'base'), join(dir, 'adapter')] as const;
  if (source.base !== null) await fetchStoredModel(source.base, base, objectStore);
  if (source.adapter !== null) await fetchStoredModel(source.adapter, adapter, objectStore);
  signal.throwIfAborted();
  const baseDir = () => {
    const local = modelDir(source);
    return local === null ? downloaded(source, { config, hub }, signal) : readyDir(local, { signal });
  };
  const held = source.base === null ? await baseDir() : unswept(base);
  return exportInProcess(
    {
      modelDir: held.dir,
      adapterDir: source.adapter === null ? null : adapter,
      format: one.format as ConvertedFormat,
      dtype: one.dtype,
      name: one.model,
      outputDir: output,
    },
    {
      env: { ...environment, CUDA_VISIBLE_DEVICES: '' },
      prefix: ['nice', '-n', String(config.chat.nice), ...prefix],
      onOutput: (line) => log.debug({ line }, 'export process'),
      onProgress: (bytes, total) => Object.assign(progress, { doneBytes: bytes, totalBytes: total }),
      signal,
    },
  ).finally(held.leave);
}

function downloaded(source: Export['source'], { config, hub }: Pick<Services, 'config' | 'hub'>, signal: AbortSignal): Promise<HeldDirectory> {
  return downloadModel({ name: announcedName(source), commit: source.modelRevision! }, { hub, dataDir: config.dataDir, signal });
}

async function cardOf(
  one: Export,
  { warnings, proof }: ExportResult,
  output: string,
  { reports, jobs, jobRecord }: Options['services'],
): Promise<string> {
  const { jobId } = one;
  const owner = (await jobs.findAny(jobId))?.owner ?? one.owner;
  return modelCard({
    name: one.model,
    base: one.source.base?.name ?? announcedName(one.source),
    format: one.format,
    lineage: await reports.find(owner, jobId, 'lineage'),
    receipt: await reports.find(owner, jobId, 'receipt'),
    metrics: await jobRecord.metrics(jobId),
    warnings,
    proof,
    files: (await filesIn(output)).map(({ name }) => name),
    isMultimodal: one.format === 'hugging_face' && (await isMultimodal(join(output, CONFIG_FILE))),
    adapterUsage: one.format === 'peft_adapter' ? await pythonIn(join(output, CARD_FILE)) : null,
  });
}

const isMultimodal = async (path: string): Promise<boolean> =>
  parseModelConfig(JSON.parse(await readFile(path, 'utf8')), path).otherTowers !== undefined;

/** @returns the lines of Python in an adapter's own card; null if it is of a version that wrote none */
async function pythonIn(path: string): Promise<string | null> {
  const card = await readFile(path, 'utf8').catch(() => '');
  return /```python\n(.+?)\n```/s.exec(card)?.[1] ?? null;
}
