import { idsOf } from './ids-of.ts';
import { expectMatch, expectRefusal, orNull } from './matching.ts';
import type { Row } from './setting.ts';

const ADMIN_KEY = {
  id: String,
  object: 'organization.admin_api_key',
  created_at: Number,
  expires_at: orNull(Number),
  owner: {},
  redacted_value: String,
};

export const adminKeyRows: Row[] = [
  [
    'admin.organization.adminAPIKeys.create',
    'that is shown once, and works',
    async ({ client }) => {
      const { adminAPIKeys } = client.admin.organization;
      const made = await adminAPIKeys.create({ name: 'rows' });
      expectMatch(made, { ...ADMIN_KEY, name: 'rows', value: String });
      expectMatch((await client.withOptions({ adminAPIKey: made.value }).admin.organization.projects.list({ limit: 1 })).data.length > 0, true);
      await adminAPIKeys.delete(made.id);
    },
  ],
  [
    'admin.organization.adminAPIKeys.retrieve',
    'without its value',
    async ({ client }) => {
      const { adminAPIKeys } = client.admin.organization;
      const { id } = await adminAPIKeys.create({ name: 'rows' });
      expectMatch(await adminAPIKeys.retrieve(id), { ...ADMIN_KEY, id, value: undefined });
      await adminAPIKeys.delete(id);
    },
  ],
  [
    'admin.organization.adminAPIKeys.list',
    'in pages of one',
    async ({ client }) => {
      const { adminAPIKeys } = client.admin.organization;
      const { id } = await adminAPIKeys.create({ name: 'rows' });
      expectMatch((await idsOf(adminAPIKeys.list({ limit: 1 }))).includes(id), true);
      await adminAPIKeys.delete(id);
    },
  ],
  [
    'admin.organization.adminAPIKeys.delete',
    'of a key that then ends',
    async ({ client, openai }) => {
      const { adminAPIKeys } = client.admin.organization;
      const { id, value } = await adminAPIKeys.create({ name: 'rows' });
      expectMatch(await adminAPIKeys.delete(id), { id, object: 'organization.admin_api_key.deleted', deleted: true });
      await expectRefusal(client.withOptions({ adminAPIKey: value }).admin.organization.projects.list(), openai.AuthenticationError);
    },
  ],
];
