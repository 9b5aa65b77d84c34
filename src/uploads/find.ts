import type { Principal } from '../accounts/principal.ts';
import { Refusal } from '../formats/refusal.ts';
import type { Services } from '../services.ts';
import { statusNow, type Upload } from './store.ts';

/** @throws Refusal upload_not_found */
export async function findUpload({ project }: Principal, id: string, { uploads }: Pick<Services, 'uploads'>): Promise<Upload> {
  const upload = await uploads.find(project, id);
  if (upload === null)
    throw new Refusal('upload_not_found', `There is no upload "${id}"`, { param: 'upload_id', hint: 'POST /v1/uploads begins a new one.' });
  return upload;
}

/** @throws Refusal if nothing can be added to the upload any more */
export function requirePending(upload: Upload): void {
  const status = statusNow(upload);
  if (status !== 'pending') throw new Refusal('upload_ended', `The upload ${upload.id} is ${status}`, { hint: 'POST /v1/uploads begins a new one.' });
}
