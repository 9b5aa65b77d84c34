import { join } from 'node:path';
import type { Export, HubTarget } from '../../src/exports/export.ts';
import type { Services } from '../../src/services.ts';
import { filesIn } from '../job/stored-directory.ts';

interface Pushing {
  services: Pick<Services, 'hub' | 'secrets'>;
  progress: Pick<Export, 'doneBytes' | 'totalBytes'>;
  signal: AbortSignal;
}

/** Pushes an export's files to its repository of the hub. What is there already is not sent again. @throws Refusal if the hub refuses */
export async function pushExport(
  { id, model, format, dtype, hub, hubToken }: Export & { hub: HubTarget },
  dir: string,
  { services, progress, signal }: Pushing,
): Promise<HubTarget> {
  const { repoId, isPrivate, branch } = hub;
  const pushed = await services.hub.push({
    repoId,
    isPrivate,
    branch,
    token: hubToken === null ? null : await services.secrets.open(hubToken, id),
    files: (await filesIn(dir)).map((file) => ({ ...file, path: join(dir, file.name) })),
    title: `Add ${model} (${format}, ${dtype})`,
    signal,
    onProgress: (sent, total) => Object.assign(progress, { doneBytes: sent, totalBytes: total }),
  });
  return { ...hub, ...pushed };
}
