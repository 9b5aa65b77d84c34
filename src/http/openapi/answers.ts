import Type from 'typebox';

/** The answer of a download: bytes. */
export const binary = (mediaType: string, description: string) => ({
  description,
  content: { [mediaType]: { schema: Type.Unsafe<unknown>({ type: 'string', format: 'binary' }) } },
});

/** The answer of a list that can also be followed, as server-sent events. */
export const orEventStream = <T extends Type.TSchema>(list: T, description: string) => ({
  description,
  content: {
    'application/json': { schema: list },
    'text/event-stream': { schema: Type.Unsafe<unknown>({ type: 'string', description: 'Server-sent events: `id:`, `event:` and `data:` lines.' }) },
  },
});
