import type { LightMyRequestResponse } from 'fastify';
import type { RunningService } from '../running-service.ts';

/** POSTs a multipart form to `/v1/files`, as `curl -F` does. @param parts in the order in which they are sent */
export async function sendForm({ inject }: RunningService, parts: Iterable<[string, string | File]>): Promise<LightMyRequestResponse> {
  const form = new FormData();
  for (const [name, value] of parts) form.append(name, value);
  const request = new Request('http://here', { method: 'POST', body: form });
  return inject({
    method: 'POST',
    url: '/v1/files',
    headers: { 'content-type': request.headers.get('content-type')! },
    payload: Buffer.from(await request.arrayBuffer()),
  });
}
