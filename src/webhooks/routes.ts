import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { cursorList } from '../http/list-schema.ts';
import type { Services } from '../services.ts';
import { createEndpoint, deleteEndpoint, findEndpoint, rotateSecret, testEndpoint, updateEndpoint } from './endpoints.ts';
import { EVENT_TYPES } from './events.ts';
import {
  CreateEndpoint,
  DeliveryList,
  deliveryView,
  EndpointDeleted,
  EndpointList,
  EndpointObject,
  EndpointParams,
  EndpointWithSecret,
  EventTypeList,
  endpointView,
  PageQuery,
  RotateSecret,
  TestEndpoint,
  TestResult,
  UpdateEndpoint,
} from './schema.ts';

const tags = ['Webhooks'];
const params = EndpointParams;

/** Clients send no body for no options. */
const emptyBody = async (request: FastifyRequest): Promise<void> => {
  request.body ??= {};
};

/** `/v1/webhook_endpoints` and `/v1/webhook_event_types` */
export const webhookRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  const { webhooks, deliveries } = services;

  app.post(
    '/webhook_endpoints',
    {
      schema: {
        tags,
        operationId: 'createWebhookEndpoint',
        summary: 'Create a webhook endpoint',
        description: 'The answer has the signing secret, which is not shown again.',
        body: CreateEndpoint,
        response: { 200: EndpointWithSecret },
      },
    },
    async (request) => {
      const { endpoint, signingSecret } = await createEndpoint(request.principal, request.body, services);
      request.log.info({ endpoint: endpoint.id }, 'webhook endpoint created');
      return { ...endpointView(endpoint), signing_secret: signingSecret };
    },
  );

  app.get(
    '/webhook_endpoints',
    {
      schema: {
        tags,
        operationId: 'listWebhookEndpoints',
        summary: 'List webhook endpoints',
        description: 'Newest first.',
        querystring: PageQuery,
        response: { 200: EndpointList },
      },
    },
    async ({ principal, query }) => {
      return cursorList(await webhooks.list(principal.project, query), endpointView);
    },
  );

  app.get(
    '/webhook_endpoints/:webhook_endpoint_id',
    { schema: { tags, operationId: 'retrieveWebhookEndpoint', summary: 'Retrieve a webhook endpoint', params, response: { 200: EndpointObject } } },
    async ({ principal, params: { webhook_endpoint_id: id } }) => endpointView(await findEndpoint(principal, id, services)),
  );

  app.post(
    '/webhook_endpoints/:webhook_endpoint_id',
    {
      preValidation: emptyBody,
      schema: {
        tags,
        operationId: 'updateWebhookEndpoint',
        summary: 'Change a webhook endpoint',
        params,
        body: UpdateEndpoint,
        response: { 200: EndpointObject },
      },
    },
    async ({ principal, params: { webhook_endpoint_id: id }, body }) => endpointView(await updateEndpoint(principal, id, body, services)),
  );

  app.delete(
    '/webhook_endpoints/:webhook_endpoint_id',
    {
      schema: {
        tags,
        operationId: 'deleteWebhookEndpoint',
        summary: 'Delete a webhook endpoint',
        description: 'With its log, and what waits to be sent.',
        params,
        response: { 200: EndpointDeleted },
      },
    },
    async ({ principal, params: { webhook_endpoint_id: id } }) => {
      await deleteEndpoint(principal, id, services);
      return { id, object: 'webhook_endpoint.deleted' as const, deleted: true };
    },
  );

  app.post(
    '/webhook_endpoints/:webhook_endpoint_id/rotate_secret',
    {
      preValidation: emptyBody,
      schema: {
        tags,
        operationId: 'rotateWebhookEndpointSecret',
        summary: 'Replace the signing secret',
        params,
        body: RotateSecret,
        response: { 200: EndpointWithSecret },
      },
    },
    async ({ principal, params: { webhook_endpoint_id: id }, body }) => {
      const { endpoint, signingSecret } = await rotateSecret(principal, id, body.keep_old_secret_active_for_24_hours === true, services);
      return { ...endpointView(endpoint), signing_secret: signingSecret };
    },
  );

  app.post(
    '/webhook_endpoints/:webhook_endpoint_id/test',
    {
      schema: {
        tags,
        operationId: 'testWebhookEndpoint',
        summary: 'Send a sample event',
        description: 'Once, and at once; it is not in the log. A receiver that cannot be reached is an error.',
        params,
        body: TestEndpoint,
        response: { 200: TestResult },
      },
    },
    async ({ principal, params: { webhook_endpoint_id: id }, body: { event_type } }) => {
      const status_code = await testEndpoint(principal, id, event_type, services);
      return { object: 'webhook_endpoint.test' as const, webhook_endpoint_id: id, event_type, status_code, success: true as const };
    },
  );

  app.get(
    '/webhook_endpoints/:webhook_endpoint_id/deliveries',
    {
      schema: {
        tags,
        operationId: 'listWebhookDeliveries',
        summary: 'List what was sent to a webhook endpoint',
        description: 'Newest first, with every attempt. Deliveries that ended more than 30 days ago are forgotten.',
        params,
        querystring: PageQuery,
        response: { 200: DeliveryList },
      },
    },
    async ({ principal, params: { webhook_endpoint_id: id }, query }) => {
      await findEndpoint(principal, id, services);
      return cursorList(await deliveries.list(principal.project, id, query), deliveryView);
    },
  );

  app.get(
    '/webhook_event_types',
    { schema: { tags, operationId: 'listWebhookEventTypes', summary: 'List the types of events', response: { 200: EventTypeList } } },
    async () => ({ object: 'list' as const, data: [...EVENT_TYPES] }),
  );
};
