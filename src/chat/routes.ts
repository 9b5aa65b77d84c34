import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { asRefusal } from '../http/error-handler.ts';
import { orStreamOf } from '../http/openapi/answers.ts';
import { type ErrorBody, errorBody } from '../http/statuses.ts';
import type { Services } from '../services.ts';
import { begin } from './ask.ts';
import { chatChunks, chatCompletion, chatGeneration } from './chat-completion.ts';
import { ChatCompletion, ChatCompletionChunk, CreateChatCompletion } from './chat-schema.ts';
import { completion, completionChunks, completionGeneration } from './completion.ts';
import { Completion, CreateCompletion } from './completion-schema.ts';
import type { Generation } from './messages.ts';
import { servedModel } from './model.ts';
import { openChatQueue } from './queue.ts';
import { wantsUsage } from './request-fields.ts';
import { response, responseGeneration } from './response.ts';
import { responseEvents } from './response-events.ts';
import { CreateResponse, ResponseEvent, ResponseObject } from './response-schema.ts';
import { dataOf, eventOf, streamOf } from './sse.ts';

const tags = ['Generation'];
/** They change nothing, and there are many of them. */
const config = { audit: false } as const;

const errorData = (body: ErrorBody): string => dataOf(body);
/** The Responses API has these fields at the top; its clients also look for `error`. */
const errorEvent = ({ error }: ErrorBody): string => eventOf({ type: 'error', code: error.code, message: error.message, param: error.param, error });

/** `/v1/chat/completions`, `/v1/completions`, `/v1/responses` */
export const chatRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  const onError = (error: Error) => services.log.error({ err: error }, 'workers cannot be asked for text: Redis does not answer');
  const queue = openChatQueue(services.urls.redis, { onError });
  const closing = new AbortController();
  // Before the server waits for its connections: streams would hold them.
  app.addHook('preClose', async () => closing.abort(new Error('the service is stopping')));
  app.addHook('onClose', () => queue.close());

  /** Finds the model and has a worker begin. What it generates ends when the client has gone. */
  async function generate({ principal }: FastifyRequest, reply: FastifyReply, asked: Omit<Generation, 'model'>, model: string) {
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort(new Error('the client has gone')));
    const generation: Generation = { ...asked, model: await servedModel(principal, model, services) };
    const begun = await begin(generation, { ...services, queue }, AbortSignal.any([gone.signal, closing.signal]));
    return { generation, begun };
  }

  /** Sends what a generator makes as server-sent events; an error in the middle is one of them. */
  const send = (reply: FastifyReply, texts: AsyncGenerator<string>, asText = errorData): FastifyReply => {
    const failed = (error: unknown): string => {
      reply.log.warn({ err: error }, 'a stream was cut off');
      return asText(errorBody(asRefusal(error)));
    };
    return reply.type('text/event-stream; charset=utf-8').header('cache-control', 'no-store').send(streamOf(texts, failed));
  };

  app.post(
    '/chat/completions',
    {
      config,
      schema: {
        tags,
        operationId: 'createChatCompletion',
        summary: 'Answer a conversation',
        body: CreateChatCompletion,
        response: { 200: orStreamOf(ChatCompletion, 'The answer; or, with `stream`, its pieces as they are written.', ChatCompletionChunk) },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const withUsage = wantsUsage(body);
      const { generation, begun } = await generate(request, reply, chatGeneration(body, request.bodyText), body.model);
      if (body.stream === true) return send(reply, chatChunks(generation, begun, withUsage)) as never;
      return chatCompletion(generation, begun);
    },
  );

  app.post(
    '/completions',
    {
      config,
      schema: {
        tags,
        operationId: 'createCompletion',
        summary: 'Continue a text',
        body: CreateCompletion,
        response: { 200: orStreamOf(Completion, 'The text; or, with `stream`, its pieces as they are written.', Completion) },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const withUsage = wantsUsage(body);
      const { generation, begun } = await generate(request, reply, completionGeneration(body), body.model);
      if (body.stream === true) return send(reply, completionChunks(generation, begun, withUsage)) as never;
      return completion(generation, begun);
    },
  );

  app.post(
    '/responses',
    {
      config,
      schema: {
        tags,
        operationId: 'createResponse',
        summary: 'Answer a conversation, in the form of the Responses API',
        body: CreateResponse,
        response: { 200: orStreamOf(ResponseObject, 'The answer; or, with `stream`, the events by which it is written.', ResponseEvent) },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const { generation, begun } = await generate(request, reply, responseGeneration(body), body.model);
      if (body.stream === true) return send(reply, responseEvents(body, generation, begun), errorEvent) as never;
      return response(body, generation, begun);
    },
  );
};
