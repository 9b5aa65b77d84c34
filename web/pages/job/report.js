import { ApiError, get } from '../../api/client.js';
import { useResource } from '../../api/use-resource.js';
import { html } from '../../lib/html.js';
import { Empty, Resource } from '../../parts/state.js';
import { hasEnded } from '../../parts/status.js';

/** @typedef {import('../../api/types.d.ts').Job} Job */

const POLL_MS = 5_000;
const NOT_FOUND = 404;

/** A report of a job, or what to wait for. @param {{ job: Job, kind: string, waiting: string, missing: string, children: (report: any) => any }} props */
export function Report({ job, kind, waiting, missing, children }) {
  const isOver = hasEnded(job);
  const report = useResource(
    async (signal) => {
      try {
        return { content: await get(`/fine_tuning/jobs/${job.id}/${kind}`, { signal }) };
      } catch (error) {
        if (error instanceof ApiError && error.status === NOT_FOUND) return { content: null };
        throw error;
      }
    },
    [job.id, kind, isOver],
    { everyMs: isOver ? null : POLL_MS },
  );
  return html`
    <${Resource} of=${report}>
      ${(/** @type {{ content: unknown }} */ { content }) =>
        content === null ? html`<${Empty} title="Not there"><p>${isOver ? missing : waiting}</p><//>` : children(content)}
    <//>`;
}
