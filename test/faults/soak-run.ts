/** Trains jobs one after the other on one service; a random fault hits most of them. The API process is never restarted: its memory is what is watched. */
import { setTimeout as delay } from 'node:timers/promises';
import { socketDirectory } from '../../src/embedded/sockets.ts';
import { seededRandom } from '../random.ts';
import { connect } from './api.ts';
import type { Fault, Try } from './fault.ts';
import { makeHome } from './home.ts';
import { checkSucceeded, sha256 } from './invariants.ts';
import { BASE_MODEL, jobBody, stepsOf, trainingData } from './jobs.ts';
import { faults } from './rows/all.ts';
import { openService } from './service.ts';
import { type Sample, takeSample } from './soak-samples.ts';
import { openTruth } from './truth.ts';
import { runTry, untilEnded } from './try.ts';

/** Faults that leave the API process alone and need no servers or mounts of their own. */
const FAULTS = [
  'training process killed',
  'worker killed',
  'SIGTERM to the worker',
  'Redis flushed',
  'connections to Postgres cut three times',
  'cancelled',
  'its training file deleted',
];
/** After a job, until its processes have ended and a new spare one waits. */
const SETTLE_MS = 3_000;

export interface Soak {
  jobs: number;
  lost: number;
  faults: number;
  samples: Sample[];
  problems: string[];
  stopSeconds: number;
}

export async function runSoak({ minutes, seed, print }: { minutes: number; seed: number; print(line: string): void }): Promise<Soak> {
  const home = makeHome();
  const service = await openService({ home, workers: 1 });
  const random = seededRandom(seed);
  const chosen = faults.filter(({ name }) => FAULTS.includes(name));
  const result: Soak = { jobs: 0, lost: 0, faults: 0, samples: [], problems: [], stopSeconds: 0 };
  const truth = openTruth(async () => `postgresql://postgres@localhost:5432/graft?host=${encodeURIComponent(await socketDirectory(home.dataDir))}`);
  try {
    await service.start();
    const api = connect(service.url);
    await api.model(BASE_MODEL);
    const trainingFile = await api.upload(trainingData());
    const undisturbed = async (key: string) => {
      const { id } = await api.create(jobBody(trainingFile, 'short'), key);
      const startedMs = performance.now();
      if ((await untilEnded(id, truth)).status !== 'succeeded') throw new Error('the undisturbed job did not succeed');
      return { weights: sha256(await api.weights(id)), seconds: (performance.now() - startedMs) / 1000 };
    };
    await undisturbed('warm-up');
    const wanted = await undisturbed('undisturbed');
    const deadline = Date.now() + minutes * 60_000;
    const options = { service, api, truth, random, trainingFile, length: 'short' as const, jobs: 1, beside: false, undisturbed: wanted };
    while (Date.now() < deadline) {
      const fault: Fault | null = random.below(4) === 0 ? null : random.pick(chosen);
      const disturbance = fault === null ? { disturb: async (_: Try) => {} } : await fault.open(home);
      await api.model(BASE_MODEL);
      const outcome = await runTry(disturbance, { ...options, key: `soak-${result.jobs}` });
      result.jobs++;
      if (fault !== null) result.faults++;
      if (outcome.lost || outcome.wrongBytes) result.lost++;
      for (const problem of outcome.irregular) {
        result.problems.push(`job ${result.jobs}, ${fault?.name ?? 'no fault'}: ${problem}`);
        print(`  ${result.problems.at(-1)}`);
      }
      await delay(SETTLE_MS);
      result.samples.push(await takeSample(service, truth));
      if (result.jobs % 10 === 0) print(`${result.jobs} jobs, ${result.lost} lost, ${JSON.stringify(result.samples.at(-1))}`);
    }
    const { irregular } = await checkSucceeded(
      (await api.create(jobBody(trainingFile, 'short'), 'undisturbed')).id,
      { weights: wanted.weights, steps: stepsOf('short') },
      { api, truth },
    );
    result.problems.push(...irregular.map((problem) => `the first job, at the end: ${problem}`));
    result.stopSeconds = await service.stop();
    return result;
  } finally {
    await truth.close();
    await service.killAll();
    home.remove();
  }
}
