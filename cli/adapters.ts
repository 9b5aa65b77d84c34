/** `graft adapters download` */
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { extract } from 'tar-stream';
import type { Context } from './context.ts';
import { Failure } from './exit-code.ts';
import { localName } from './files/download-file.ts';
import { downloadShown } from './files/download-shown.ts';
import type { Service } from './service.ts';
import { bytes } from './terminal/amounts.ts';
import { safeLine } from './terminal/text.ts';
import type { Job, Model } from './types.ts';

interface Saved {
  path: string;
  bytes: number;
  sha256: string | null;
}

/** How the name of a checkpoint ends. */
const CHECKPOINT = /:ckpt-step-(\d+)$/;
/** The result file that is not part of the model. */
const METRICS = 'step_metrics.csv';

/** @param name of a job, a tuned model or a checkpoint */
export async function downloadAdapter(
  name: string,
  { out, step }: { out: string; step?: number },
  { service: connect, output }: Context,
): Promise<void> {
  const service = await connect();
  const jobId = name.startsWith('ftjob-') ? name : await jobOf(name, service);
  const number = step ?? (CHECKPOINT.test(name) ? Number(CHECKPOINT.exec(name)![1]) : null);
  const saved =
    number === null
      ? await filesOf(jobId, out, { service, output })
      : await tarOf(`/fine_tuning/jobs/${jobId}/checkpoints/${number}/adapter`, out, service);
  const text = saved.map(({ path, bytes: size }) => `${safeLine(path)} (${bytes(size)})`).join('\n');
  output.result({ job: jobId, step: number, directory: out, files: saved }, text);
}

async function jobOf(model: string, { client }: Service): Promise<string> {
  const { job_id: jobId } = await client.get<Model>(`/models/${encodeURIComponent(model)}`);
  if (jobId === undefined)
    throw new Failure(`${model} is a base model: there is no adapter of it`, { hint: 'Name a job (ftjob-…) or a tuned model (ft:…).' });
  return jobId;
}

/** Each file by itself, so that it can be continued and checked. */
async function filesOf(jobId: string, out: string, { service, output }: { service: Service; output: Context['output'] }): Promise<Saved[]> {
  const { client } = service;
  const job = await client.get<Job>(`/fine_tuning/jobs/${encodeURIComponent(jobId)}`).catch((error: { status?: number }) => {
    if (error.status === 404) return null; // of another project that shares its model: only the tar can be had
    throw error;
  });
  if (job === null) return tarOf(`/fine_tuning/jobs/${encodeURIComponent(jobId)}/adapter`, out, service);
  if (job.status !== 'succeeded')
    throw new Failure(`The job ${jobId} is ${job.status}, so it has delivered nothing`, {
      hint: `\`graft jobs show ${jobId}\` lists its checkpoints, which --step downloads.`,
    });
  const files = await Promise.all(job.result_files.map((id) => client.files.retrieve(id)));
  const parts = files.filter(({ filename }) => filename !== METRICS);
  if (parts.length === 0) throw new Failure(`The files of ${jobId} are gone: its model was deleted`);
  const saved: Saved[] = [];
  for (const { id, filename } of parts) {
    const {
      path,
      bytes: size,
      sha256,
    } = await downloadShown(`/files/${encodeURIComponent(id)}/content`, join(out, localName(filename)), { service, output });
    saved.push({ path, bytes: size, sha256 });
  }
  return saved;
}

async function tarOf(path: string, out: string, service: Service): Promise<Saved[]> {
  const { body } = await service.fetch(path);
  await mkdir(out, { recursive: true });
  const saved: Saved[] = [];
  const entries = extract();
  const unpacked = (async () => {
    for await (const entry of entries) {
      const target = join(out, localName(entry.header.name));
      await pipeline(entry, createWriteStream(target));
      saved.push({ path: target, bytes: entry.header.size ?? 0, sha256: null });
    }
  })();
  await Promise.all([pipeline(Readable.fromWeb(body as ReadableStream), entries), unpacked]);
  return saved;
}
