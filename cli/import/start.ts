/** `graft import start`: the prepared jobs, here. */
import { existsSync } from 'node:fs';
import type { Context } from '../context.ts';
import { Failure, usageFailure } from '../exit-code.ts';
import { withUploads } from '../jobs/files.ts';
import { readRequest } from '../jobs/request.ts';
import type { Job } from '../types.ts';
import { requireManifest, writeManifest } from './folder.ts';
import { preparedPath, preparedRequest, writePrepared } from './prepare.ts';

export interface StartOptions {
  dir: string;
  base?: string;
  job: string[];
}

/** Those that were begun are left alone. */
export async function startImported({ dir, base: chosenBase, job: ids }: StartOptions, { service: connect, output }: Context): Promise<void> {
  const manifest = await requireManifest(dir);
  const unknown = ids.filter((id) => manifest.jobs[id] === undefined);
  if (unknown.length > 0) throw usageFailure(`The import in ${dir} has no job ${unknown.join(', ')}`);
  const service = await connect();
  const begun: { imported: string; job: string }[] = [];
  for (const [id, job] of Object.entries(manifest.jobs)) {
    if ((ids.length > 0 && !ids.includes(id)) || job.started !== null) continue;
    const base = chosenBase ?? job.base;
    if (base === null) throw usageFailure(`No base model was chosen for ${id}`, 'Name one with --base; `graft models` lists them.');
    const path = preparedPath(dir, id);
    if (base !== job.base || !existsSync(path)) {
      const request = preparedRequest({ source: job.source, base }, manifest.files);
      if (request === null)
        throw new Failure(`The training file of ${id} is gone, so the job cannot be done again`, {
          hint: 'Leave it out: name the others with --job.',
        });
      await writePrepared(dir, { source: job.source, base }, request);
      job.base = base;
      await writeManifest(dir, manifest);
    }
    const body = await withUploads(await readRequest(path), { service, output });
    // If this program ends before the answer is written down, the next one gets the same job.
    const { id: started } = await service.client.post<Job>('/fine_tuning/jobs', {
      body,
      headers: { 'idempotency-key': `graft-import-${manifest.id}-${id}` },
    });
    job.started = started;
    await writeManifest(dir, manifest);
    begun.push({ imported: id, job: started });
    output.note(`${id} is ${started} here, on ${base}`);
  }
  output.result({ folder: dir, started: begun }, begun.map(({ job }) => job).join('\n') || 'All jobs of the import were begun already.');
  const watch = begun[0] === undefined ? '' : `Watch it: graft jobs follow ${begun[0].job}. `;
  output.note(output.tint('dim', `${watch}When the jobs have succeeded: graft import compare --dir ${dir}`));
}
