import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { cursorList } from '../http/list-schema.ts';
import type { Services } from '../services.ts';
import { AuditList, AuditQuery, auditFilter, auditView } from './schema.ts';

/** `/v1/organization/audit_logs` */
export const auditRoutes: FastifyPluginAsyncTypebox<Services> = async (app, { audit }) => {
  app.get(
    '/audit_logs',
    {
      schema: {
        tags: ['Audit log'],
        operationId: 'listAuditLogs',
        summary: 'List what was changed, and by whom',
        description: 'Newest first. Every request other than a GET has an entry, refused ones too.',
        querystring: AuditQuery,
        response: { 200: AuditList },
      },
    },
    async ({ principal, query }) => cursorList(await audit.list(principal.organization, auditFilter(query)), auditView),
  );
};
