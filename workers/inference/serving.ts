/** Answers requests for text on this machine: fetches their models, keeps one inference process while it is used, and ends it when a job needs its memory. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import { type Answer, baseKey, failed, type Generation, type ServedModel, type ServingStatus } from '../../src/chat/messages.ts';
import type { Reply } from '../../src/chat/queue.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import { parseHubName } from '../../src/hub/hub-name.ts';
import type { StoredModel } from '../../src/jobs/job.ts';
import type { Services } from '../../src/services.ts';
import { downloadModel } from '../base-models/download.ts';
import type { HeldDirectory } from '../base-models/held-directory.ts';
import type { ReadyDirectory } from '../base-models/ready-directory.ts';
import type { Device } from '../devices.ts';
import { forkInference, type InferenceProcess } from './forked.ts';
import type { LocalGeneration } from './messages.ts';
import { openStoredModels } from './stored-models.ts';

export interface ServingOptions {
  services: Pick<Services, 'config' | 'objectStore' | 'hub'>;
  /** Holds this worker's files; removed with it. */
  workDir: string;
  /** @returns the directory of a base model on this machine; null if it is not here */
  modelDir(base: { model: string; modelRevision: string | null }): string | null;
  readyDir: ReadyDirectory;
  /** The device of an inference process that starts now; null: the CPU. */
  idleDevice(): Device;
  environment: Record<string, string>;
  /** Put before its command: confinement.ts. */
  prefix: readonly string[];
  /** The most that models in memory may take together; null: no limit. */
  memoryBytes: number | null;
  /** Called when `status` has changed. */
  onChange(): void;
  log: Logger;
}

export type Serving = ReturnType<typeof openServing>;

export function openServing({ services, workDir, modelDir, readyDir, idleDevice, environment, prefix, memoryBytes, onChange, log }: ServingOptions) {
  const { config, objectStore, hub } = services;
  const { requests: capacity, maxTokens, maxSeconds, idleSeconds, diskBytes, nice } = config.chat;
  const stored = openStoredModels({ objectStore, dir: join(workDir, 'chat'), limitBytes: diskBytes });
  let current: { process: InferenceProcess; device: Device } | null = null;
  let requests = 0;
  let idle: NodeJS.Timeout | undefined;

  const startProcess = (): InferenceProcess => {
    if (current !== null && !current.process.isGone()) return current.process;
    const device = idleDevice();
    const env = {
      ...environment,
      CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
      CUDA_VISIBLE_DEVICES: device ?? '',
      // Otherwise TensorFlow takes all of the memory that a job may soon ask for.
      TF_FORCE_GPU_ALLOW_GROWTH: 'true',
    };
    const onOutput = (line: string) => log.debug({ line }, 'inference process');
    const niced = nice === 0 ? [] : ['nice', '-n', String(nice)];
    const process = forkInference({ env, prefix: [...niced, ...prefix], onOutput, onChange, limits: { memoryBytes } });
    log.info({ inferencePid: process.pid, device: device ?? 'CPU' }, 'an inference process starts');
    current = { process, device };
    return process;
  };

  const endProcess = async (why: string): Promise<void> => {
    if (current === null) return;
    const { process } = current;
    current = null;
    log.info({ inferencePid: process.pid, why }, 'the inference process is ended');
    await process.kill();
  };

  const endWhenIdle = () => {
    clearTimeout(idle);
    idle = setTimeout(() => requests === 0 && void endProcess('it was idle'), 1000 * idleSeconds).unref();
  };

  /** The directory of the weights that a model stands on. @throws Refusal */
  async function baseDir({ base: { id, revision }, name }: ServedModel, signal: AbortSignal): Promise<HeldDirectory> {
    const local = modelDir({ model: id, modelRevision: revision });
    if (local !== null) return readyDir(local, { signal });
    if (revision === null || parseHubName(id) === null || !hub.allows(id))
      throw new Refusal('no_worker', `The worker no longer has the base model of "${name}"`, { param: 'model', hint: 'Send the request again.' });
    return downloadModel({ name: id, commit: revision }, { hub, dataDir: config.dataDir, signal });
  }

  async function answer(generation: Generation, reply: Reply, signal: AbortSignal): Promise<void> {
    const { model, ...rest } = generation;
    if (rest.maxTokens !== null && rest.maxTokens > maxTokens)
      throw new Refusal('invalid_value', `${rest.maxTokens} tokens are asked for; the worker generates at most ${maxTokens}`, {
        param: 'max_tokens',
        hint: 'Whoever runs the worker sets CHAT_MAX_TOKENS.',
      });
    const inUse: { leave(): void | Promise<void> }[] = [];
    const using = async <T extends (typeof inUse)[number]>(opening: Promise<T>): Promise<T> => {
      const opened = await opening;
      inUse.push(opened);
      return opened;
    };
    const fetched = async (one: StoredModel | null) => one && using(stored.use(one));
    try {
      const base = await fetched(model.tunedBase);
      const adapter = await fetched(model.adapter);
      const local: LocalGeneration = {
        ...rest,
        maxTokens: rest.maxTokens ?? maxTokens,
        model: {
          key: baseKey(model),
          dir: (base ?? (await using(baseDir(model, signal)))).dir,
          adapter: adapter && { key: adapter.key, dir: adapter.dir },
          templateKwargs: model.templateKwargs,
        },
      };
      await startProcess().generate(local, reply, signal);
    } finally {
      for (const { leave } of inUse) await leave();
    }
  }

  return {
    status: (): ServingStatus => ({ warm: [...(current?.process.holds().keys ?? [])], requests, capacity }),

    /** Always ends with `done` or `failed`, unless nobody waits any more. */
    async generate(generation: Generation, reply: Reply, cancelled: AbortSignal): Promise<void> {
      if (requests >= capacity) {
        const message = `The worker has ${requests} requests, which is the most that it takes at once`;
        reply(failed(new Refusal('generation_busy', message, { hint: 'Ask again in a few seconds.' })));
        return;
      }
      requests++;
      clearTimeout(idle);
      onChange();
      const inTime = cutOffAfter(maxSeconds, generation, reply);
      try {
        await answer(generation, inTime.reply, AbortSignal.any([cancelled, inTime.signal]));
      } catch (error) {
        if (cancelled.aborted) return;
        if (inTime.signal.aborted) inTime.finish();
        else {
          const refusal = asRefusal(error);
          if (refusal !== error || refusal.code === 'generation_lost')
            log.error({ err: error, model: generation.model.name }, 'a request for text failed');
          reply(failed(refusal));
        }
      } finally {
        requests--;
        endWhenIdle();
      }
    },

    /**
     * Makes room for a job that is about to train on these devices. On a GPU the process ends, because TensorFlow gives memory back only then; on the CPU
     * it ends unless it is answering, since a process without requests would only take memory from the job.
     */
    async makeRoom(devices: readonly Device[]): Promise<void> {
      if (current === null) return;
      const { device } = current;
      if (device === null ? requests === 0 && devices.includes(null) : devices.includes(device)) await endProcess('a job needs its memory');
    },

    async close(): Promise<void> {
      clearTimeout(idle);
      await endProcess('the worker is stopping');
    },
  };
}

/** Bounds the time of a request: an answer that has begun ends where it is, as at its last token. */
function cutOffAfter(seconds: number, { prompts, answers, model }: Generation, reply: Reply) {
  const signal = AbortSignal.timeout(1000 * seconds);
  const tokens = Array.from({ length: prompts.length * answers }, () => 0);
  const open = new Set(tokens.keys());
  let hasStarted = false;
  return {
    signal,
    reply(answer: Answer): void {
      if (answer.kind === 'started') hasStarted = true;
      if (answer.kind === 'piece') tokens[answer.index]! += answer.tokens;
      if (answer.kind === 'finished') open.delete(answer.index);
      reply(answer);
    },
    finish(): void {
      if (hasStarted) {
        for (const index of open) reply({ kind: 'finished', index, reason: 'length', tokens: tokens[index]! });
        reply({ kind: 'done' });
        return;
      }
      const message = `"${model.name}" could not begin to answer within ${seconds} s`;
      reply(failed(new Refusal('generation_busy', message, { hint: 'Its weights may still be loading: ask again.' })));
    },
  };
}

const asRefusal = (error: unknown): Refusal =>
  error instanceof Refusal
    ? error
    : new Refusal('internal_error', 'The answer could not be generated', { hint: "The worker's log has the details." });
