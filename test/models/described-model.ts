import { readFileSync } from 'node:fs';

const config = readFileSync(new URL('../../models/graft-tiny/config.json', import.meta.url), 'utf8');

/** A model like graft-tiny, as announced by a worker that says what its config.json says: estimates need it. */
export const describedModel = (id: string) => ({ id, family: 'llama', parameters: 4_000_000, sizeBytes: 8_000_000, revision: null, config });
