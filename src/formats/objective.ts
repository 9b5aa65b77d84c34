/** What a job may have minimised: OpenAI's `method.type`. The engine's half of each is in `workers/engine/objectives`. */
export const OBJECTIVE_NAMES = ['supervised'] as const;
export type ObjectiveName = (typeof OBJECTIVE_NAMES)[number];
