import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import type { FastifySchema } from 'fastify';
import Type from 'typebox';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a multipart body consists of. The route reads and checks it itself, as it arrives; this describes it. */
    multipart?: Type.TSchema;
  }
}

/** A file inside a multipart body: of any size, and never held in memory. */
export const filePart = (description: string) => Type.Unsafe<never>({ type: 'string', format: 'binary', description });

/** Describes the multipart body of a route that has one. */
export const describeMultipart: NonNullable<FastifyDynamicSwaggerOptions['transform']> = ({ schema, url, route }) => {
  const multipart = route.config?.multipart;
  if (multipart === undefined) return { schema: schema as FastifySchema, url };
  return { schema: { ...(schema as FastifySchema), consumes: ['multipart/form-data'], body: multipart }, url };
};
