/** What a worker counts of its jobs and of the processes that train them. */
import { readFile } from 'node:fs/promises';
import { Counter, Gauge, Histogram } from 'prom-client';
import type { Instruments } from '../../src/monitoring/instruments.ts';
import { TrainingProcessDied } from '../process/died.ts';
import type { ForkedTraining } from '../process/forked.ts';
import type { Answer } from '../process/messages.ts';
import { gpuMemory } from './gpu-memory.ts';

/** From a small model on a GPU to a large one on two cores. */
const STEP_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

export type WorkerInstruments = ReturnType<typeof openWorkerInstruments>;

export function openWorkerInstruments({ registry }: Pick<Instruments, 'registry'>) {
  const registers = [registry];
  const processes = new Set<ForkedTraining>();
  const forgetEnded = () => {
    for (const training of processes) if (training.isGone()) processes.delete(training);
  };
  const steps = new Histogram({
    name: 'graft_worker_step_duration_seconds',
    help: 'How long the steps took that this worker has trained, of all its jobs.',
    buckets: STEP_SECONDS,
    registers,
  });
  const tokens = new Counter({ name: 'graft_worker_tokens_total', help: 'Tokens that this worker has trained on.', registers });
  const running = new Gauge({ name: 'graft_worker_jobs_training', help: 'Jobs that this worker prepares or trains now.', registers });
  const runs = new Counter({
    name: 'graft_worker_runs_total',
    help: 'Runs of training processes that have ended: done, measured, stopped (paused, or the worker stops), failed, crashed or killed.',
    labelNames: ['outcome'] as const,
    registers,
  });
  new Gauge({
    name: 'graft_worker_training_memory_bytes',
    help: 'Main memory of the training processes of this worker, those included that wait for a job.',
    registers,
    async collect() {
      forgetEnded();
      const sizes = await Promise.all([...processes].map(({ pid }) => residentBytes(pid)));
      this.set(sizes.reduce((sum, bytes) => sum + bytes, 0));
    },
  });
  new Gauge({
    name: 'graft_gpu_memory_bytes',
    help: 'Memory of the GPUs of this machine, as nvidia-smi reports it, whoever uses it.',
    labelNames: ['gpu', 'state'] as const,
    registers,
    async collect() {
      this.reset();
      for (const { gpu, used, total } of await gpuMemory()) {
        this.set({ gpu, state: 'used' }, used);
        this.set({ gpu, state: 'total' }, total);
      }
    },
  });

  async function* counted(answers: AsyncGenerator<Answer>): AsyncGenerator<Answer> {
    let outcome = 'killed'; // by the worker: the job was cancelled, deleted or taken over
    running.inc();
    try {
      for await (const answer of answers) {
        if (answer.answer === 'step') {
          const { seconds, tokens: count } = answer.report.metrics;
          if (seconds !== undefined) steps.observe(seconds);
          tokens.inc(count ?? 0);
        } else if (isOutcome(answer.answer)) outcome = answer.answer;
        yield answer;
      }
    } catch (error) {
      if (error instanceof TrainingProcessDied) outcome = 'crashed';
      throw error;
    } finally {
      running.dec();
      runs.inc({ outcome });
    }
  }

  const countedTraining = (training: ForkedTraining): ForkedTraining => ({
    ...training,
    train: (options) => counted(training.train(options)),
    dryRun: (options) => counted(training.dryRun(options)),
    share: (runs) => training.share(runs).map(countedTraining),
  });

  return {
    /** @returns the same process, whose work is counted */
    observe(training: ForkedTraining): ForkedTraining {
      forgetEnded();
      processes.add(training);
      return countedTraining(training);
    },
  };
}

const isOutcome = (answer: string): boolean => ['done', 'measured', 'stopped', 'paused', 'late', 'failed'].includes(answer);

/** With the processes that it has started: what confines it may be one that waits. @returns 0 where Linux's /proc is not, or the process has just ended */
async function residentBytes(pid: number | string | undefined): Promise<number> {
  const read = (file: string) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
  const [status, children] = await Promise.all([read('status'), read(`task/${pid}/children`)]);
  const own = 1024 * Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
  const theirs = await Promise.all((children.match(/\d+/g) ?? []).map(residentBytes));
  return theirs.reduce((sum, bytes) => sum + bytes, own);
}
