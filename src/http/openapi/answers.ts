import Type from 'typebox';

/** The answer of a download: bytes. @param headers  name → what it says */
export const binary = (mediaType: string, description: string, headers: Record<string, string> = {}) => ({
  description,
  headers: Object.fromEntries(Object.entries(headers).map(([name, says]) => [name, Type.String({ description: says })])),
  content: { [mediaType]: { schema: Type.Unsafe<unknown>({ type: 'string', format: 'binary' }) } },
});

/** The answer of a list that can also be followed, as server-sent events. `item` is what the data of one of them is, as JSON. */
export const orEventStream = <T extends Type.TSchema>(
  list: T,
  { description, item }: { description: string; item: Type.TSchema & { title?: string } },
) => ({
  description,
  content: {
    'application/json': { schema: list },
    'text/event-stream': { schema: Type.Unsafe<unknown>(serverSentEvent(item)) },
  },
});

/** OpenAPI 3.1 has no words for a stream: this is one event of it. */
const serverSentEvent = (item: Type.TSchema & { title?: string }) =>
  Type.Union(
    [
      Type.Object(
        {
          id: Type.String({ description: 'What a client that connects again sends as `Last-Event-ID`.' }),
          event: Type.String(),
          data: Type.Unsafe<string>({ type: 'string', contentMediaType: 'application/json', contentSchema: item }),
        },
        { title: `${item.title ?? 'Event'}Sent` },
      ),
      Type.Object({ event: Type.Literal('done'), data: Type.Literal('[DONE]') }, { title: 'EndOfEvents' }),
    ],
    { description: 'One of the server-sent events that the stream consists of.' },
  );

/** The answer of a generation: one object, or with `stream` the server-sent events by which it is written. `chunk` is what the data of one of them is. */
export const orStreamOf = <T extends Type.TSchema>(whole: T, description: string, chunk: Type.TSchema) => ({
  description,
  content: { 'application/json': { schema: whole }, 'text/event-stream': { schema: chunk } },
});
