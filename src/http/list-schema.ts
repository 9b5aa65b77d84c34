import Type from 'typebox';
import { nullable } from '../formats/nullable.ts';
import type { Page } from './paging.ts';

/** The contract's error object. */
export const ErrorResponse = Type.Object(
  {
    error: Type.Object(
      {
        message: Type.String(),
        type: Type.String(),
        param: Type.Union([Type.String(), Type.Null()]),
        code: Type.Union([Type.String(), Type.Null()]),
      },
      { title: 'Error' },
    ),
  },
  { title: 'ErrorResponse', description: 'What is wrong, where, and what to do.' },
);

/** Named for its items. */
const listTitle = ({ title }: { title?: string }) => (title === undefined ? {} : { title: `${title}List` });

export const listOf = <T extends Type.TSchema & { title?: string }>(item: T) =>
  Type.Object({ object: Type.Literal('list'), data: Type.Array(item), has_more: Type.Boolean() }, listTitle(item));

export const limit = (fallback: number, maximum = 100) =>
  Type.Integer({ minimum: 1, maximum, default: fallback, description: 'Maximum number of items to return.' });

export const after = Type.Optional(Type.String({ description: 'Id of the last item of the previous page.' }));

/** A list that OpenAI's clients page by its last id. */
export const cursorListOf = <T extends Type.TSchema & { title?: string }>(item: T) =>
  Type.Object({ ...listOf(item).properties, first_id: nullable(Type.String()), last_id: nullable(Type.String()) }, listTitle(item));

export function cursorList<T, V extends { id: string }>({ data, hasMore }: Page<T>, view: (item: T) => V) {
  const items = data.map(view);
  return { object: 'list' as const, data: items, has_more: hasMore, first_id: items[0]?.id ?? null, last_id: items.at(-1)?.id ?? null };
}
