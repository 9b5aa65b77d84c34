import Type from 'typebox';
import { defined } from '../formats/defined.ts';
import { nullable } from '../formats/nullable.ts';
import { oneOf } from '../formats/one-of.ts';
import { unixSeconds } from '../formats/unix-seconds.ts';
import { after, cursorListOf, limit } from '../http/list-schema.ts';
import type { Project, ProjectLimits } from './store.ts';

const MAX_NAME_LENGTH = 256;
export const Name = Type.String({ minLength: 1, maxLength: MAX_NAME_LENGTH });

/** The largest whole number that JSON carries exactly: 8 petabytes, or as many tokens. */
const MAX_COUNT = Number.MAX_SAFE_INTEGER;
/** The largest number that an integer column holds. It stands for no limit in OpenAI's object of a rate limit, which has no null. */
export const NO_RATE_LIMIT = 2 ** 31 - 1;

const count = (description: string, maximum = NO_RATE_LIMIT) =>
  Type.Optional(nullable(Type.Integer({ minimum: 0, maximum, description: `${description} null: no limit.` })));

export const Limits = Type.Object(
  {
    max_files: count('Files that are not deleted.'),
    max_bytes: count('Bytes of those files together.', MAX_COUNT),
    max_queued_jobs: count('Jobs that wait or are paused.'),
    max_running_jobs: count('Jobs that workers have. More wait.'),
    max_tokens_per_day: count('Tokens that jobs are trained on in a day (UTC). A job that runs is not stopped by it.', MAX_COUNT),
  },
  { additionalProperties: false, title: 'ProjectLimits' },
);

export const ProjectObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('organization.project'),
    name: Type.String(),
    created_at: Type.Integer(),
    archived_at: nullable(Type.Integer()),
    status: oneOf(['active', 'archived']),
    limits: Limits,
  },
  { title: 'Project' },
);
export const ProjectList = cursorListOf(ProjectObject);

export const CreateProject = Type.Object(
  { name: Name, limits: Type.Optional(Limits) },
  { additionalProperties: false, title: 'CreateProject', examples: [{ name: 'Support' }] },
);
export const UpdateProject = Type.Object(
  { name: Type.Optional(nullable(Name)), limits: Type.Optional(Limits) },
  {
    additionalProperties: false,
    title: 'UpdateProject',
    examples: [{ name: 'Translation', limits: { max_running_jobs: 2, max_bytes: 50_000_000_000 } }],
  },
);

export const ProjectParams = Type.Object({ project_id: Type.String() });
export const ProjectQuery = Type.Object(
  { after, limit: limit(20), include_archived: Type.Boolean({ default: false }) },
  { additionalProperties: false },
);

export const RateLimitObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('project.rate_limit'),
    model: Type.String({ description: 'Always `*`: requests are counted whatever they are about.' }),
    max_requests_per_1_minute: Type.Integer({ description: `Of all keys of the project together; ${NO_RATE_LIMIT}: no limit.` }),
    max_tokens_per_1_minute: Type.Integer({ description: `Always ${NO_RATE_LIMIT}: tokens are limited by the day, by the project's limits.` }),
  },
  { title: 'ProjectRateLimit' },
);
export const RateLimitList = cursorListOf(RateLimitObject);
export const RateLimitParams = Type.Object({ project_id: Type.String(), rate_limit_id: Type.String() });
export const UpdateRateLimit = Type.Object(
  {
    max_requests_per_1_minute: Type.Integer({ minimum: 1, maximum: NO_RATE_LIMIT, description: `${NO_RATE_LIMIT} takes the limit away.` }),
  },
  { additionalProperties: false, title: 'UpdateProjectRateLimit', examples: [{ max_requests_per_1_minute: 600 }] },
);

export const projectView = (project: Project): Type.Static<typeof ProjectObject> => ({
  id: project.id,
  object: 'organization.project',
  name: project.name,
  created_at: unixSeconds(project.createdAt),
  archived_at: project.archivedAt && unixSeconds(project.archivedAt),
  status: project.archivedAt === null ? 'active' : 'archived',
  limits: {
    max_files: project.maxFiles,
    max_bytes: project.maxBytes,
    max_queued_jobs: project.maxQueuedJobs,
    max_running_jobs: project.maxRunningJobs,
    max_tokens_per_day: project.maxTokensPerDay,
  },
});

/** @returns the limits that are named, null ones too; those that are left out stay */
export function limitsOf(limits: Type.Static<typeof Limits> = {}): Partial<ProjectLimits> {
  return defined({
    maxFiles: limits.max_files,
    maxBytes: limits.max_bytes,
    maxQueuedJobs: limits.max_queued_jobs,
    maxRunningJobs: limits.max_running_jobs,
    maxTokensPerDay: limits.max_tokens_per_day,
  });
}

/** The one rate limit that a project has. */
export const RATE_LIMIT_ID = 'rl-requests';

export const rateLimitView = ({ requestsPerMinute }: Project): Type.Static<typeof RateLimitObject> => ({
  id: RATE_LIMIT_ID,
  object: 'project.rate_limit',
  model: '*',
  max_requests_per_1_minute: requestsPerMinute ?? NO_RATE_LIMIT,
  max_tokens_per_1_minute: NO_RATE_LIMIT,
});
