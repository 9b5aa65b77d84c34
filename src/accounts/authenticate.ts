import { timingSafeEqual } from 'node:crypto';
import { Refusal } from '../formats/refusal.ts';
import { DEFAULT_ORGANIZATION, DEFAULT_PROJECT } from '../ids.ts';
import type { AccessStore, KnownKey } from './access-store.ts';
import type { Caller } from './principal.ts';
import { SCOPES } from './scopes.ts';
import { hashOfKey, looksLikeKey } from './secret-key.ts';

/** How the root key, which has no row, appears where keys are named. */
export const ROOT_KEY_ID = 'key_root';

/** The headers that say who calls; all but the first are optional. */
export interface CallersHeaders {
  authorization?: string | undefined;
  'openai-organization'?: string | string[] | undefined;
  'openai-project'?: string | string[] | undefined;
}

/**
 * @param rootKey  the operator's key: it administers the default organization and works in its projects
 * @returns tells who sent a request; throws a Refusal for a key that is missing, wrong, revoked or expired, or for an organization or project that is not the key's
 */
export function openAuthenticator(rootKey: string, access: AccessStore): (headers: CallersHeaders) => Promise<Caller> {
  const rootHash = Buffer.from(hashOfKey(rootKey));

  async function keyOf(sent: string): Promise<KnownKey | null> {
    const hash = hashOfKey(sent);
    if (timingSafeEqual(Buffer.from(hash), rootHash)) return ROOT;
    return looksLikeKey(sent) ? access.keyWithHash(hash) : null;
  }

  return async (headers) => {
    const key = usable(await keyOf(bearerToken(headers.authorization)));
    const organization = one(headers['openai-organization']);
    if (organization !== null && organization !== key.organization)
      throw new Refusal('mismatched_organization', `The API key does not belong to the organization "${organization}"`, {
        hint: `OpenAI-Organization must be "${key.organization}" or left out.`,
      });
    const named = one(headers['openai-project']);
    const project = await access.project(key.project ?? named ?? key.defaultProject);
    if (project === null || project.organization !== key.organization || (named !== null && named !== project.id))
      throw new Refusal('mismatched_project', `The API key does not belong to the project "${named ?? key.project ?? key.defaultProject}"`, {
        hint:
          key.project === null
            ? `OpenAI-Project must be a project of the organization "${key.organization}" or left out.`
            : `OpenAI-Project must be "${key.project}" or left out.`,
      });
    if (project.isArchived)
      throw new Refusal('project_archived', `The project "${project.id}" is archived`, { hint: 'Use a key of an active project.' });
    const { id, serviceAccount, scopes } = key;
    return {
      organization: key.organization,
      project: project.id,
      key: { id, serviceAccount, scopes },
      requestsPerMinute: { ofKey: key.requestsPerMinute, ofProject: project.requestsPerMinute },
    };
  };
}

const ROOT: KnownKey = {
  id: ROOT_KEY_ID,
  organization: DEFAULT_ORGANIZATION,
  project: null,
  defaultProject: DEFAULT_PROJECT,
  serviceAccount: null,
  scopes: SCOPES,
  requestsPerMinute: null,
  expiresAt: null,
  isRevoked: false,
};

function bearerToken(header: string | undefined): string {
  const [scheme, token] = (header ?? '').split(' ', 2);
  if (scheme?.toLowerCase() === 'bearer' && token !== undefined && token !== '') return token;
  throw new Refusal('invalid_api_key', 'The request has no API key', { hint: 'Send it as "Authorization: Bearer KEY".' });
}

function usable(key: KnownKey | null): KnownKey {
  if (key === null)
    throw new Refusal('invalid_api_key', 'The API key is wrong', {
      hint: 'The root key is in ROOT_API_KEY or in the file DATA_DIR/api-key; those of projects were shown when they were made.',
    });
  if (key.isRevoked) throw new Refusal('invalid_api_key', `The API key ${key.id} has been revoked`, { hint: 'Use another key.' });
  if (key.expiresAt !== null && key.expiresAt <= new Date())
    throw new Refusal('invalid_api_key', `The API key ${key.id} expired at ${key.expiresAt.toISOString()}`, { hint: 'Use another key.' });
  return key;
}

/** A client that has no organization or project may send an empty header. */
function one(header: string | string[] | undefined): string | null {
  const value = Array.isArray(header) ? header[0] : header;
  return value === undefined || value === '' ? null : value;
}
