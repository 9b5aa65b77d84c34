import { fileURLToPath } from 'node:url';
import { openLocalStore } from './local.ts';
import type { ObjectStore } from './object-store.ts';
import type { S3Location } from './s3.ts';

/** Servers other than Amazon's accept this when no region is given. */
const DEFAULT_REGION = 'us-east-1';

/**
 * @param url `file:///directory`, or `s3://bucket/prefix?endpoint=http://…&region=…&force_path_style=true`
 * @throws Error if the URL is invalid; `check` shows whether the store is usable
 */
export async function openObjectStore(url: string): Promise<ObjectStore> {
  if (url.startsWith('file://')) return openLocalStore(fileURLToPath(url).replace(/\/+$/, ''));
  if (url.startsWith('s3://')) {
    const location = s3Location(url);
    const { openS3Store } = await import('./s3.ts'); // not loaded for a directory
    return openS3Store(location);
  }
  throw new Error(`"${url}" is not an object store: the URL must begin with file:// or s3://`);
}

function s3Location(text: string): S3Location {
  const url = new URL(text);
  const known = ['endpoint', 'region', 'force_path_style'];
  const unknown = [...url.searchParams.keys()].filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`The URL of the object store has unknown parameters: ${unknown.join(', ')}; known are ${known.join(', ')}`);
  if (url.hostname === '') throw new Error(`"${text}" has no bucket; write s3://bucket/prefix`);
  const endpoint = url.searchParams.get('endpoint');
  const pathStyle = url.searchParams.get('force_path_style') ?? String(endpoint !== null);
  if (!['true', 'false'].includes(pathStyle)) throw new Error(`force_path_style is "${pathStyle}"; it must be true or false`);
  return {
    bucket: url.hostname,
    prefix: decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, ''),
    ...(endpoint !== null && { endpoint }),
    region: url.searchParams.get('region') ?? DEFAULT_REGION,
    forcePathStyle: pathStyle === 'true',
  };
}
