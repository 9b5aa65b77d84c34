import { type Static, Type } from 'typebox';

export const Sha256 = Type.String({ description: 'Hex digest.' });

/** A file identified by its content. */
export const HashedFile = Type.Object({ name: Type.String(), bytes: Type.Integer({ minimum: 0 }), sha256: Sha256 });
export type HashedFile = Static<typeof HashedFile>;
