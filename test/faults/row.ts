/** Runs one row: a service of its own, an undisturbed job to compare with, then the tries. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { socketDirectory } from '../../src/embedded/sockets.ts';
import { seededRandom } from '../random.ts';
import { connect } from './api.ts';
import type { Disturbance, Fault } from './fault.ts';
import { makeHome } from './home.ts';
import { sha256 } from './invariants.ts';
import { BASE_MODEL, jobBody, type Length, trainingData } from './jobs.ts';
import { openService, type Service } from './service.ts';
import { openTruth } from './truth.ts';
import { type Outcome, runTry, type Undisturbed, untilEnded } from './try.ts';

export interface RowOptions {
  tries: number;
  seed: number;
  /** Receives the service's log of each try that went wrong. */
  logsDir: string | null;
  print(line: string): void;
}

export interface RowResult {
  name: string;
  tries: number;
  lost: number;
  wrongBytes: number;
  irregular: number;
  continuedAfterSeconds: number[];
  problems: string[];
}

/** The same job gives the same bytes in every service, so one run per length is enough. */
const undisturbedRuns = new Map<Length, Undisturbed>();

export async function runRow(fault: Fault, { tries, seed, logsDir, print }: RowOptions): Promise<RowResult> {
  const { name, length = 'short', jobs = 1, beside = false, fresh = false, workers = 1 } = fault;
  const home = makeHome();
  const result: RowResult = { name, tries: 0, lost: 0, wrongBytes: 0, irregular: 0, continuedAfterSeconds: [], problems: [] };
  let disturbance: Disturbance | null = null;
  let service: Service | null = null;
  const note = (problem: string) => {
    result.problems.push(problem);
    print(`  ${problem}`);
  };
  try {
    const opened = await fault.open(home);
    disturbance = opened;
    service = await openService({ home, workers, ...(opened.env && { env: opened.env }) });
    await service.start();
    const api = connect(service.url);
    const truth = openTruth(async () => opened.databaseUrl ?? embeddedUrl(await socketDirectory(home.dataDir)));
    try {
      const trainingFile = await api.upload(trainingData());
      await api.model(BASE_MODEL);
      const undisturbed = undisturbedRuns.get(length) ?? (await runUndisturbed());
      undisturbedRuns.set(length, undisturbed);
      const succeeded: string[] = [];
      for (let index = 0; index < tries; index++) {
        const random = seededRandom(seed + index);
        const key = `${name}-${index}`;
        if (fresh && index > 0) {
          await service.stop();
          await service.start();
        }
        await api.model(BASE_MODEL);
        const outcome = await runTry(opened, { service, api, truth, random, trainingFile, length, jobs, beside, undisturbed, key }).catch(
          (error: Error): Outcome => ({ jobIds: [], lost: true, wrongBytes: false, irregular: [error.message], continuedAfterSeconds: null }),
        );
        result.tries++;
        if (outcome.lost) result.lost++;
        if (outcome.wrongBytes) result.wrongBytes++;
        if (outcome.irregular.length > 0) result.irregular++;
        if (outcome.continuedAfterSeconds !== null) result.continuedAfterSeconds.push(outcome.continuedAfterSeconds);
        for (const problem of [...(outcome.wrongBytes ? ['other bytes than undisturbed'] : []), ...outcome.irregular])
          note(`try ${index + 1}, seed ${seed + index}: ${problem}`);
        if (outcome.irregular.length > 0 || outcome.wrongBytes) keepLog(index);
        else if (!outcome.lost) succeeded.push(...outcome.jobIds);
        for (const id of outcome.jobIds) if (outcome.lost) await api.ask('POST', `/fine_tuning/jobs/${id}/cancel`).catch(() => {});
        if (!service.isUp()) await service.start();
      }
      for (const id of succeeded) {
        if ((await truth.job(id)).status !== 'succeeded') continue;
        await api.weights(id).catch((error: Error) => {
          result.lost++;
          note(`after the last try, the adapter of ${id} is gone: ${error.message}`);
        });
      }
      await service.stop();

      async function runUndisturbed(): Promise<Undisturbed> {
        await finish('warm-up', 'short'); // loads TensorFlow and measures the machine
        const startedMs = performance.now();
        const id = await finish('undisturbed', length);
        return { seconds: (performance.now() - startedMs) / 1000, weights: sha256(await api.weights(id)) };
      }

      async function finish(key: string, which: Length): Promise<string> {
        const { id } = await api.create(jobBody(trainingFile, which), key);
        const { status, error } = await untilEnded(id, truth);
        if (status !== 'succeeded') throw new Error(`the undisturbed job is ${status}: ${error?.message}`);
        return id;
      }
    } finally {
      await truth.close();
    }
  } catch (error) {
    result.lost = Math.max(result.lost, 1);
    note(error instanceof Error ? error.message : String(error));
    keepLog('end');
  } finally {
    await service?.killAll();
    await disturbance?.close?.();
    home.remove();
  }
  return result;

  function keepLog(which: number | string): void {
    if (logsDir === null || service === null) return;
    mkdirSync(logsDir, { recursive: true });
    const file = join(logsDir, `${name.replaceAll(/[^\w]+/g, '-')}-${which}.log`);
    writeFileSync(file, service.log.map((line) => `${JSON.stringify(line)}\n`).join(''));
  }
}

const embeddedUrl = (sockets: string): string => `postgresql://postgres@localhost:5432/graft?host=${encodeURIComponent(sockets)}`;
