/** The files of a job that are named by their paths. */
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { FileObject } from 'openai/resources/files';
import { hashFile } from '../../src/formats/hashing.ts';
import type { Context } from '../context.ts';
import { Failure } from '../exit-code.ts';
import { judgement, uploadShown } from '../files/judged-upload.ts';
import { isArchive, isTable, requireFile, validateLocally } from '../files/validate.ts';
import { validationText } from '../files/validation-text.ts';
import type { Service } from '../service.ts';
import type { List } from '../types.ts';
import { FILE_FIELDS, isFileId, type Request } from './request.ts';

interface Needs {
  service: Service;
  output: Context['output'];
}

/** Replaces paths by ids: datasets are checked here, then files are uploaded unless the service has them. @throws Failure for a file with problems */
export async function withUploads(request: Request, needs: Needs): Promise<Request> {
  const made = { ...request };
  for (const field of FILE_FIELDS) {
    const value = made[field];
    if (typeof value === 'string' && !isFileId(value)) made[field] = await uploaded(value, needs);
  }
  return made;
}

/** @returns the id of the file at this path */
export async function uploaded(path: string, { service, output }: Needs): Promise<string> {
  await requireFile(path);
  if (!isTable(path)) {
    if (!isArchive(path)) await requireNoProblems(path, output);
    const there = await sameFile(path, service);
    if (there !== null) {
      output.note(`${path} is there already: ${there}`);
      return there;
    }
  }
  const { id } = await uploadShown(path, { purpose: 'fine-tune' }, { service, output });
  const validation = await judgement(id, service);
  if (validation.status === 'error') throw new Failure(`${id} has problems:\n${validationText(path, validation, output.tint)}`);
  output.note(`${path} is uploaded: ${id}`);
  return id;
}

/** @throws Failure */
async function requireNoProblems(path: string, output: Context['output']): Promise<void> {
  const validation = await validateLocally(path);
  if (validation.status === 'error')
    throw new Failure(`${path} has problems, so nothing was sent:\n${validationText(path, validation, output.tint)}`);
}

/** As many as a project is likely to have of one size. */
const MAX_COMPARED = 5;

/** @returns the id of a file with the same name and content; null if the service has no such file */
async function sameFile(path: string, { client, fetch }: Service): Promise<string | null> {
  const { size } = await stat(path);
  const { data } = await client.get<List<FileObject>>('/files', { query: { purpose: 'fine-tune' } });
  const alike = data.filter((file) => file.bytes === size && file.filename === basename(path) && file.status === 'processed' && !file.expires_at);
  if (alike.length === 0) return null;
  const etag = `"${await hashFile(path)}"`;
  for (const { id } of alike.slice(0, MAX_COMPARED)) {
    const { headers } = await fetch(`/files/${encodeURIComponent(id)}/content`, { method: 'HEAD' });
    if (headers.get('etag') === etag) return id;
  }
  return null;
}
