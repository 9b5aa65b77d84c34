import pino from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openQuotaStore } from '../../src/accounts/quota-store.ts';
import { newSecret } from '../../src/accounts/secret-key.ts';
import { openKeyStore } from '../../src/api-keys/store.ts';
import { openAuditStore } from '../../src/audit/store.ts';
import { KEEP_AUDIT_LOG_DAYS, sweepAccounts } from '../../src/housekeeping/accounts.ts';
import { type EmbeddedDatabase, openEmbeddedDatabase } from '../database/embedded-database.ts';

let embedded: EmbeddedDatabase;
beforeAll(async () => {
  embedded = await openEmbeddedDatabase();
});
afterAll(() => embedded.close());

const daysAgo = (days: number) => new Date(Date.now() - days * 24 * 3600 * 1000);

it('the sweep of accounts › removes what is older than the audit log is kept, and nothing else', async () => {
  const { database } = embedded;
  const [audit, keys, quotas] = [openAuditStore(database), openKeyStore(database), openQuotaStore(database)];
  const entry = {
    projectId: null,
    keyId: 'key',
    serviceAccountId: null,
    type: 'a',
    method: 'POST',
    route: '/',
    objectId: null,
    status: 200,
    ipAddress: '',
  };
  for (const id of ['old', 'new']) await audit.add({ organizationId: id, ...entry });
  await database.auditEntry.updateMany({ where: { organizationId: 'old' }, data: { at: daysAgo(KEEP_AUDIT_LOG_DAYS + 1) } });
  const owner = { organizationId: 'graft', projectId: 'graft' };
  const make = (expiresAt: Date | null) => keys.create(owner, { name: 'a', scopes: ['read'], expiresAt }, newSecret('project'));
  const [old, revoked, lasting] = [await make(daysAgo(KEEP_AUDIT_LOG_DAYS + 1)), await make(null), await make(null)];
  await keys.revoke(owner, revoked.id);

  for (const days of [0, KEEP_AUDIT_LOG_DAYS + 2]) await database.tokenUsage.create({ data: { projectId: 'graft', day: daysAgo(days), tokens: 1 } });

  await sweepAccounts({ database, audit, keys, quotas, log: pino({ level: 'silent' }) });

  expect((await database.auditEntry.findMany()).map(({ organizationId }) => organizationId)).toEqual(['new']);
  expect(await database.tokenUsage.count()).toBe(1);
  const left = (await database.apiKey.findMany()).map(({ id }) => id);
  expect(left.toSorted()).toEqual([revoked.id, lasting.id].toSorted());
  expect(left).not.toContain(old.id);
});
