/** A model's name on the hub, as users write it: `org/name`, `org/name@revision`. */
export interface HubName {
  /** `org/name` */
  name: string;
  /** A branch, a tag or a commit; null: the default branch. */
  revision: string | null;
}

const PART = '[A-Za-z0-9][A-Za-z0-9._-]{0,95}';
const NAME = new RegExp(`^(${PART}/${PART})(?:@([A-Za-z0-9][A-Za-z0-9._/-]{0,127}))?$`);

/** @returns null if it is not such a name. A valid name cannot leave the directory that it is joined to */
export function parseHubName(model: string): HubName | null {
  const match = NAME.exec(model);
  if (match === null || model.includes('..')) return null;
  return { name: match[1]!, revision: match[2] ?? null };
}

/** How workers announce the model that a job names: one of the hub without its revision, a local directory as it is. */
export const announcedName = ({ model, modelRevision }: { model: string; modelRevision: string | null }): string =>
  modelRevision === null ? model : (parseHubName(model)?.name ?? model);
