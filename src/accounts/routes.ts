import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { keyRoutes } from '../api-keys/routes.ts';
import { auditRoutes } from '../audit/routes.ts';
import { Refusal } from '../formats/refusal.ts';
import { projectRoutes } from '../projects/routes.ts';
import { serviceAccountRoutes } from '../service-accounts/routes.ts';
import type { Services } from '../services.ts';

/** `/v1/organization`: what only an administrator may do */
export const organizationRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  app.addHook('onRoute', (route) => {
    route.config = { scope: 'admin', ...route.config };
  });
  app.setNotFoundHandler((request) => {
    const path = request.url.split('?')[0];
    throw new Refusal('not_found', `There is no route ${request.method} ${path}`, {
      hint: "Of OpenAI's administration there are: projects, with their api_keys, service_accounts and rate_limits; admin_api_keys; audit_logs. There are no users, invites, groups, roles, certificates or usage.",
    });
  });
  await app.register(projectRoutes, services);
  await app.register(keyRoutes, services);
  await app.register(serviceAccountRoutes, services);
  await app.register(auditRoutes, services);
};
