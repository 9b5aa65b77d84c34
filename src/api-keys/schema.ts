import Type from 'typebox';
import { PROJECT_SCOPES, type Scope } from '../accounts/scopes.ts';
import { nullable } from '../formats/nullable.ts';
import { literals, oneOf } from '../formats/one-of.ts';
import { unixSeconds } from '../formats/unix-seconds.ts';
import { after, cursorListOf, limit } from '../http/list-schema.ts';
import { Name, NO_RATE_LIMIT } from '../projects/schema.ts';
import type { StoredKey } from './store.ts';

/** Ten years: a longer time is a mistake. */
const MAX_EXPIRY_SECONDS = 10 * 365 * 24 * 3600;
const expiresInSeconds = Type.Optional(
  nullable(Type.Integer({ minimum: 1, maximum: MAX_EXPIRY_SECONDS, description: 'The key is refused after that; default: never.' })),
);

/** There are no users. A key of no service account belongs to whoever runs the organization, shown in the shape of a user. */
const User = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('organization.user'),
    name: Type.String(),
    email: Type.String(),
    role: Type.String(),
    created_at: Type.Integer(),
  },
  { title: 'KeyOwnerUser' },
);
const OWNER_ID = 'user-administrator';

const ServiceAccount = Type.Object(
  { id: Type.String(), name: Type.String(), role: Type.String(), created_at: Type.Integer() },
  { title: 'KeyOwnerServiceAccount' },
);

const shared = {
  id: Type.String(),
  name: Type.String(),
  created_at: Type.Integer(),
  expires_at: nullable(Type.Integer()),
  last_used_at: nullable(Type.Integer({ description: 'To the minute.' })),
  redacted_value: Type.String(),
  scopes: Type.Array(Type.String({ description: '`read`, `write` or `admin`.' })),
};
const value = Type.String({ description: 'The key. It is shown this once.' });

const projectKey = {
  ...shared,
  object: Type.Literal('organization.project.api_key'),
  owner: Type.Object(
    { type: oneOf(['user', 'service_account']), user: Type.Optional(User), service_account: Type.Optional(ServiceAccount) },
    { title: 'ProjectKeyOwner' },
  ),
  owner_project_access: oneOf(['active']),
  max_requests_per_1_minute: nullable(Type.Integer()),
};
export const ProjectKeyObject = Type.Object(projectKey, { title: 'ProjectApiKey' });
export const NewProjectKeyObject = Type.Object({ ...projectKey, value }, { title: 'NewProjectApiKey' });
export const ProjectKeyList = cursorListOf(ProjectKeyObject);

const adminKey = {
  ...shared,
  object: Type.Literal('organization.admin_api_key'),
  owner: Type.Object({ ...User.properties, type: Type.Literal('user') }, { title: 'AdminKeyOwner' }),
};
export const AdminKeyObject = Type.Object(adminKey, { title: 'AdminApiKey' });
export const NewAdminKeyObject = Type.Object({ ...adminKey, value }, { title: 'NewAdminApiKey' });
export const AdminKeyList = cursorListOf(AdminKeyObject);

export const ProjectScopes = Type.Optional(Type.Array(literals(PROJECT_SCOPES), { minItems: 1, description: 'Default: both.' }));

export const CreateProjectKey = Type.Object(
  {
    name: Name,
    scopes: ProjectScopes,
    expires_in_seconds: expiresInSeconds,
    max_requests_per_1_minute: Type.Optional(nullable(Type.Integer({ minimum: 1, maximum: NO_RATE_LIMIT, description: 'Of this key alone.' }))),
  },
  { additionalProperties: false, title: 'CreateProjectApiKey', examples: [{ name: 'nightly evaluation', scopes: ['read'] }] },
);
/** OpenAI's name of the scope `read`. */
const READ_ONLY = 'api.all.read';
export const UpdateProjectKey = Type.Object(
  {
    scopes: Type.Optional(
      Type.Array(literals([...PROJECT_SCOPES, READ_ONLY]), {
        description: `What the key may do from now on; \`${READ_ONLY}\` is \`read\`, and an empty list both. Default: as before.`,
      }),
    ),
    expires_in_seconds: Type.Optional(
      Type.Integer({ minimum: 1, maximum: MAX_EXPIRY_SECONDS, description: 'Counted from this request. Default: as before.' }),
    ),
  },
  { additionalProperties: false, title: 'UpdateProjectApiKey', examples: [{ scopes: ['read'], expires_in_seconds: 86_400 }] },
);

/** @returns the scopes that an update asks for; undefined to leave them */
export function scopesOf({ scopes }: Type.Static<typeof UpdateProjectKey>): Scope[] | undefined {
  if (scopes === undefined) return undefined;
  if (scopes.length === 0) return [...PROJECT_SCOPES];
  return [...new Set(scopes.map((scope) => (scope === READ_ONLY ? 'read' : scope)))];
}

export const CreateAdminKey = Type.Object(
  { name: Name, expires_in_seconds: expiresInSeconds },
  { additionalProperties: false, title: 'CreateAdminApiKey', examples: [{ name: 'provisioning', expires_in_seconds: 86_400 }] },
);

export const KeyDeleted = Type.Object(
  { id: Type.String(), object: Type.Literal('organization.project.api_key.deleted'), deleted: Type.Boolean() },
  { title: 'ProjectApiKeyDeleted' },
);
export const AdminKeyDeleted = Type.Object(
  { id: Type.String(), object: Type.Literal('organization.admin_api_key.deleted'), deleted: Type.Boolean() },
  { title: 'AdminApiKeyDeleted' },
);

export const ProjectKeyParams = Type.Object({ project_id: Type.String(), api_key_id: Type.String() });
export const AdminKeyParams = Type.Object({ key_id: Type.String() });
export const ProjectKeyQuery = Type.Object(
  {
    after,
    limit: limit(20),
    owner_project_access: Type.Optional(literals(['active', 'inactive', 'any'])),
  },
  { additionalProperties: false },
);
export const AdminKeyQuery = Type.Object(
  { after, limit: limit(20), order: literals(['asc', 'desc'], { default: 'asc' }) },
  { additionalProperties: false },
);

const user = ({ createdAt }: StoredKey): Type.Static<typeof User> => ({
  id: OWNER_ID,
  object: 'organization.user',
  name: 'Administrator of the organization',
  email: '',
  role: 'owner',
  created_at: unixSeconds(createdAt),
});

const sharedView = (key: StoredKey) => ({
  id: key.id,
  name: key.name,
  created_at: unixSeconds(key.createdAt),
  expires_at: key.expiresAt && unixSeconds(key.expiresAt),
  last_used_at: key.lastUsedAt && unixSeconds(key.lastUsedAt),
  redacted_value: key.redacted,
  scopes: key.scopes,
});

export const projectKeyView = (key: StoredKey): Type.Static<typeof ProjectKeyObject> => ({
  ...sharedView(key),
  object: 'organization.project.api_key',
  owner:
    key.serviceAccount === null
      ? { type: 'user', user: user(key) }
      : {
          type: 'service_account',
          service_account: {
            id: key.serviceAccount.id,
            name: key.serviceAccount.name,
            role: 'member',
            created_at: unixSeconds(key.serviceAccount.createdAt),
          },
        },
  owner_project_access: 'active',
  max_requests_per_1_minute: key.requestsPerMinute,
});

export const adminKeyView = (key: StoredKey): Type.Static<typeof AdminKeyObject> => ({
  ...sharedView(key),
  object: 'organization.admin_api_key',
  owner: { ...user(key), type: 'user' },
});
