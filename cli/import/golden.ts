/** Golden answers: what a tuned model of OpenAI answers to a sample of its data, while it still answers. */
import { join } from 'node:path';
import { type Recorded, record } from './ask.ts';
import { type Manifest, openLines, readLines } from './folder.ts';
import { drawQuestions, type Question } from './question.ts';
import type { Source, SourceJob } from './source.ts';

/** The questions of a job. */
export interface Golden {
  job: SourceJob;
  /** Who is asked. */
  model: string;
  /** `the validation file` or `the training file`. */
  from: string;
  done: Recorded[];
  /** Not asked yet. */
  open: Question[];
}

export const goldenPath = (folder: string, jobId: string): string => join(folder, 'golden', `${jobId}.jsonl`);

/** @returns null where there is no model, or no data left */
export async function goldenWork(folder: string, { files }: Manifest, { job, samples }: { job: SourceJob; samples: number }): Promise<Golden | null> {
  if (job.fine_tuned_model === null) return null;
  const validation = job.validation_file === null ? null : (files[job.validation_file]?.path ?? null);
  // What the model was not trained on says more.
  const path = validation ?? files[job.training_file]?.path ?? null;
  if (path === null) return null;
  const done = await readLines<Recorded>(goldenPath(folder, job.id));
  const asked = new Set(done.map(({ question }) => question.line));
  const questions = samples === 0 ? [] : await drawQuestions(join(folder, path), samples);
  return {
    job,
    model: job.fine_tuned_model,
    from: validation === null ? 'the training file' : 'the validation file',
    done,
    open: questions.filter(({ line }) => !asked.has(line)),
  };
}

interface Asking {
  source: Source;
  maxTokens: number;
  onAnswer(done: number, all: number): void;
}

/** Each answer is on the disk before the next question. */
export async function recordGolden(folder: string, { job, model, done, open }: Golden, { source, maxTokens, onAnswer }: Asking): Promise<void> {
  if (open.length === 0) return;
  const all = done.length + open.length;
  const lines = await openLines(goldenPath(folder, job.id), done);
  try {
    for (const question of open) {
      const answer = await record(question, { client: source.client, model, maxTokens });
      await lines.add(answer);
      done.push(answer);
      onAnswer(done.length, all);
    }
  } finally {
    await lines.close();
  }
}
