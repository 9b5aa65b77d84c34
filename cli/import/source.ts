/** OpenAI, from which jobs are taken: read with the user's own key, which is kept nowhere. */
import { createWriteStream } from 'node:fs';
import { mkdir, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import OpenAI, { NotFoundError } from 'openai';
import type { FineTuningJob } from 'openai/resources/fine-tuning/jobs/jobs';
import { EXIT, Failure } from '../exit-code.ts';

/** A job as OpenAI shows it. The suffix is not in the client's types. */
export type SourceJob = FineTuningJob & { user_provided_suffix?: string | null };

export interface Source {
  url: string;
  client: OpenAI;
}

/** @throws Failure where there is no key */
export function openSource(env: Readonly<Record<string, string | undefined>> = process.env): Source {
  if (!env['OPENAI_API_KEY'])
    throw new Failure('OPENAI_API_KEY is not set', {
      exitCode: EXIT.denied,
      hint: 'It is your key at OpenAI, with which your jobs are read. It is kept nowhere. OPENAI_BASE_URL chooses another address.',
    });
  // Organization and project come from OPENAI_ORG_ID and OPENAI_PROJECT_ID, as the client reads them itself.
  const client = new OpenAI({ apiKey: env['OPENAI_API_KEY'] });
  return { url: client.baseURL, client };
}

/** All jobs of the account, newest first. */
export async function listSourceJobs({ client }: Source): Promise<SourceJob[]> {
  const jobs: SourceJob[] = [];
  for await (const job of client.fineTuning.jobs.list({ limit: 100 })) jobs.push(job);
  return jobs;
}

/**
 * Fetches a file, unless it is there.
 * @returns its size; null if OpenAI no longer has it
 */
export async function fetchFile(id: string, path: string, { client }: Source): Promise<number | null> {
  const there = await sizeOf(path);
  if (there !== null) return there;
  try {
    const { bytes } = await client.files.retrieve(id);
    const response = await client.files.content(id);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await pipeline(Readable.fromWeb(response.body as ReadableStream), createWriteStream(`${path}.part`, { mode: 0o600 }));
    const size = (await sizeOf(`${path}.part`)) ?? 0;
    if (size !== bytes) throw new Failure(`Of the file ${id}, ${size} of ${bytes} bytes arrived`, { hint: 'Run the command again: it continues.' });
    await rename(`${path}.part`, path);
    return size;
  } catch (error) {
    if (error instanceof NotFoundError) return null;
    throw error;
  }
}

const sizeOf = (path: string): Promise<number | null> =>
  stat(path).then(
    ({ size }) => size,
    () => null,
  );
