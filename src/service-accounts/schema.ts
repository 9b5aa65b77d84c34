import Type from 'typebox';
import { ProjectScopes } from '../api-keys/schema.ts';
import type { StoredKey } from '../api-keys/store.ts';
import { nullable } from '../formats/nullable.ts';
import { oneOf } from '../formats/one-of.ts';
import { unixSeconds } from '../formats/unix-seconds.ts';
import { after, cursorListOf, limit } from '../http/list-schema.ts';
import { Name } from '../projects/schema.ts';
import type { ServiceAccount } from './store.ts';

const account = {
  id: Type.String(),
  object: Type.Literal('organization.project.service_account'),
  name: Type.String(),
  role: oneOf(['member']),
  created_at: Type.Integer(),
};
export const ServiceAccountObject = Type.Object(account, { title: 'ServiceAccount' });
export const ServiceAccountList = cursorListOf(ServiceAccountObject);

export const AccountKeyObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('organization.project.service_account.api_key'),
    name: Type.String(),
    created_at: Type.Integer(),
    value: Type.String({ description: 'The key. It is shown this once.' }),
  },
  { title: 'ServiceAccountApiKey' },
);
export const NewServiceAccount = Type.Object({ ...account, api_key: nullable(AccountKeyObject) }, { title: 'NewServiceAccount' });

export const CreateServiceAccount = Type.Object(
  {
    name: Name,
    create_service_account_only: Type.Optional(nullable(Type.Boolean({ description: 'Without an API key.' }))),
  },
  { additionalProperties: false, title: 'CreateServiceAccount', examples: [{ name: 'pipeline' }] },
);
export const UpdateServiceAccount = Type.Object(
  {
    name: Type.Optional(Name),
    role: Type.Optional(Type.Literal('member', { description: 'The scopes of a key, not this role, say what it may do.' })),
  },
  { additionalProperties: false, title: 'UpdateServiceAccount', examples: [{ name: 'nightly pipeline' }] },
);
export const CreateAccountKey = Type.Object(
  { name: Type.Optional(Name), scopes: ProjectScopes },
  { additionalProperties: false, title: 'CreateServiceAccountApiKey', examples: [{ name: 'second machine' }] },
);
export const ServiceAccountDeleted = Type.Object(
  { id: Type.String(), object: Type.Literal('organization.project.service_account.deleted'), deleted: Type.Boolean() },
  { title: 'ServiceAccountDeleted' },
);

export const ServiceAccountParams = Type.Object({ project_id: Type.String(), service_account_id: Type.String() });
export const ServiceAccountQuery = Type.Object({ after, limit: limit(20) }, { additionalProperties: false });

export const accountView = ({ id, name, createdAt }: ServiceAccount): Type.Static<typeof ServiceAccountObject> => ({
  id,
  object: 'organization.project.service_account',
  name,
  role: 'member',
  created_at: unixSeconds(createdAt),
});

export const accountKeyView = ({ key, value }: { key: StoredKey; value: string }): Type.Static<typeof AccountKeyObject> => ({
  id: key.id,
  object: 'organization.project.service_account.api_key',
  name: key.name,
  created_at: unixSeconds(key.createdAt),
  value,
});
