import type { Context } from '../context.ts';
import { Failure } from '../exit-code.ts';
import { bytes } from '../terminal/amounts.ts';
import { bar } from '../terminal/bar.ts';
import { safeLine } from '../terminal/text.ts';
import { hasEnded } from '../types.ts';
import { untilOver } from '../watch.ts';
import { saveFiles } from './download.ts';
import type { Export } from './export.ts';

export interface CreateOptions {
  format: string;
  dtype?: string;
  out?: string;
  hub?: string;
  revision?: string;
  public?: boolean;
  wait: boolean;
}

const LOOK_EVERY_MS = 1_000;

export async function createExport(
  model: string,
  { format, dtype, out = 'export', wait, ...to }: CreateOptions,
  { service: connect, output }: Context,
): Promise<void> {
  const service = await connect();
  const created = await service.client.post<Export>('/exports', {
    body: { model, format, ...(dtype !== undefined && { dtype }), ...(to.hub !== undefined && { hub: hubOf(to.hub, to) }) },
  });
  if (!wait) return output.result(created, created.id);
  output.note(`${created.id} is created`);
  const made = await untilOver<Export>(
    {
      first: created,
      read: () => service.client.get<Export>(`/exports/${encodeURIComponent(created.id)}`),
      isOver: hasEnded,
      lines: (state) => [progressText(state)],
      interrupted: `No longer waiting. The export continues: \`graft export show ${created.id}\`, \`graft export cancel ${created.id}\`.`,
      everyMs: LOOK_EVERY_MS,
    },
    { output },
  );
  if (made.status !== 'succeeded')
    throw new Failure(
      `The export ${made.id} ${made.status === 'failed' ? 'failed' : `is ${made.status}`}${made.error === null ? '' : `: ${made.error.message}`}`,
    );
  for (const warning of made.warnings) output.note(`${output.tint('yellow', '!')} ${safeLine(warning)}`);
  if (made.hub !== null) return output.result(made, `pushed to ${made.hub.url}`);
  await saveFiles(made, out, { service, output });
}

/** The token is the user's own, as other programs for the hub find it. */
function hubOf(repository: string, { revision, public: isPublic }: Pick<CreateOptions, 'revision' | 'public'>) {
  const token = process.env['HF_TOKEN'];
  return { repo_id: repository, ...(revision !== undefined && { revision }), ...(isPublic && { private: false }), ...(token && { token }) };
}

function progressText({ status, progress }: Export): string {
  if (progress === null || progress.total_bytes === 0) return status;
  return `${bar(progress.bytes / progress.total_bytes)}  ${bytes(progress.bytes)} of ${bytes(progress.total_bytes)}`;
}
