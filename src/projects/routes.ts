import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Refusal } from '../formats/refusal.ts';
import { cursorList } from '../http/list-schema.ts';
import type { Services } from '../services.ts';
import { archiveProject, findActiveProject, findProject, updateProject } from './find.ts';
import {
  CreateProject,
  limitsOf,
  NO_RATE_LIMIT,
  ProjectList,
  ProjectObject,
  ProjectParams,
  ProjectQuery,
  projectView,
  RATE_LIMIT_ID,
  RateLimitList,
  RateLimitObject,
  RateLimitParams,
  rateLimitView,
  UpdateProject,
  UpdateRateLimit,
} from './schema.ts';

const tags = ['Projects'];

/** `/v1/organization/projects`: create, inspect, change, limit, archive */
export const projectRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  const { projects, access } = services;

  app.post(
    '/projects',
    {
      config: { audit: 'project.created' },
      schema: { tags, operationId: 'createProject', summary: 'Create a project', body: CreateProject, response: { 200: ProjectObject } },
    },
    async ({ principal, body }) => projectView(await projects.create(principal.organization, { name: body.name, ...limitsOf(body.limits) })),
  );

  app.get(
    '/projects',
    {
      schema: {
        tags,
        operationId: 'listProjects',
        summary: 'List projects',
        description: 'Newest first, without those that are archived.',
        querystring: ProjectQuery,
        response: { 200: ProjectList },
      },
    },
    async ({ principal, query }) => {
      const { after, limit, include_archived: withArchived } = query;
      return cursorList(await projects.list(principal.organization, { after, limit, order: 'desc', withArchived }), projectView);
    },
  );

  app.get(
    '/projects/:project_id',
    { schema: { tags, operationId: 'retrieveProject', summary: 'Retrieve a project', params: ProjectParams, response: { 200: ProjectObject } } },
    async ({ principal, params }) => projectView(await findProject(principal, params.project_id, services)),
  );

  app.post(
    '/projects/:project_id',
    {
      config: { audit: 'project.updated' },
      schema: {
        tags,
        operationId: 'modifyProject',
        summary: "Change a project's name or limits",
        description: 'Limits that are left out stay as they are.',
        params: ProjectParams,
        body: UpdateProject,
        response: { 200: ProjectObject },
      },
    },
    async ({ principal, params, body }) => {
      const changes = { ...(typeof body.name === 'string' && { name: body.name }), ...limitsOf(body.limits) };
      const project = await updateProject(principal, params.project_id, changes, services);
      access.forget();
      return projectView(project);
    },
  );

  app.post(
    '/projects/:project_id/archive',
    {
      config: { audit: 'project.archived' },
      schema: {
        tags,
        operationId: 'archiveProject',
        summary: 'Archive a project',
        description: 'Its keys are refused from then on, and nothing of it is deleted. Jobs that wait or run are trained to their end.',
        params: ProjectParams,
        response: { 200: ProjectObject },
      },
    },
    async ({ principal, params }) => {
      const project = await archiveProject(principal, params.project_id, services);
      access.forget();
      return projectView(project);
    },
  );

  app.get(
    '/projects/:project_id/rate_limits',
    {
      schema: {
        tags,
        operationId: 'listProjectRateLimits',
        summary: "List a project's rate limits",
        description: 'There is one.',
        params: ProjectParams,
        querystring: ProjectQuery,
        response: { 200: RateLimitList },
      },
    },
    async ({ principal, params, query }) => {
      const project = await findProject(principal, params.project_id, services);
      return cursorList({ data: query.after === undefined ? [project] : [], hasMore: false }, rateLimitView);
    },
  );

  app.post(
    '/projects/:project_id/rate_limits/:rate_limit_id',
    {
      config: { audit: 'rate_limit.updated' },
      schema: {
        tags,
        operationId: 'updateProjectRateLimits',
        summary: 'Change how many requests a minute a project may send',
        params: RateLimitParams,
        body: UpdateRateLimit,
        response: { 200: RateLimitObject },
      },
    },
    async ({ principal, params, body }) => {
      const { id } = await findActiveProject(principal, params.project_id, services);
      if (params.rate_limit_id !== RATE_LIMIT_ID)
        throw new Refusal('rate_limit_not_found', `There is no rate limit "${params.rate_limit_id}"`, {
          param: 'rate_limit_id',
          hint: `A project has one: "${RATE_LIMIT_ID}".`,
        });
      const perMinute = body.max_requests_per_1_minute;
      const requestsPerMinute = perMinute === NO_RATE_LIMIT ? null : perMinute;
      const project = await updateProject(principal, id, { requestsPerMinute }, services);
      access.forget();
      return rateLimitView(project);
    },
  );
};
