/** What a job may minimise: OpenAI's `method.type`. The engine's part of each is in `workers/engine/objectives`. */
export const OBJECTIVE_NAMES = ['supervised'] as const;
export type ObjectiveName = (typeof OBJECTIVE_NAMES)[number];

export const isObjective = (name: string): name is ObjectiveName => (OBJECTIVE_NAMES as readonly string[]).includes(name);
