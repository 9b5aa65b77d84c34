import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import type { FastifySchema } from 'fastify';
import Type from 'typebox';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a multipart body consists of. The route reads and checks it itself, as it arrives; this describes it. */
    multipart?: Pick<Type.TObject, 'properties'> & { required?: string[] };
  }
}

/** A file inside a multipart body: of any size, and never held in memory. */
export const filePart = (description: string) => Type.Unsafe<never>({ type: 'string', format: 'binary', description });

/** Describes the multipart body of a route that has one. */
export const describeMultipart: NonNullable<FastifyDynamicSwaggerOptions['transform']> = ({ schema, url, route }) => {
  const multipart = route.config?.multipart;
  if (multipart === undefined) return { schema: schema as FastifySchema, url };
  const properties = Object.entries(multipart.properties).map(([name, part]) => [
    name,
    multipart.required?.includes(name) ? part : orLeftBlank(part),
  ]);
  const body = { ...multipart, properties: Object.fromEntries(properties) };
  return { schema: { ...(schema as FastifySchema), consumes: ['multipart/form-data'], body }, url };
};

/** A form sends the fields that its user leaves blank, and the one at /docs fills in the first alternative of each: without this, one that changes the result. */
function orLeftBlank({ description, ...part }: Type.TSchema & { description?: string; const?: string; anyOf?: Type.TSchema[] }): Type.TSchema {
  const isChoice = part.const !== undefined || part.anyOf !== undefined; // shown as a list to choose from
  const blank = isChoice ? Type.Literal('') : Type.String({ maxLength: 0, default: '' });
  return Type.Union([blank, ...(part.anyOf ?? [part])], { description: `${description ?? ''} Blank counts as left out.`.trim() });
}
