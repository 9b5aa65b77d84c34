import type { Principal } from '../accounts/principal.ts';
import { Refusal } from '../formats/refusal.ts';
import type { Services } from '../services.ts';
import type { Project, ProjectChanges } from './store.ts';

/** @throws Refusal project_not_found */
export async function findProject({ organization }: Principal, id: string, { projects }: Pick<Services, 'projects'>): Promise<Project> {
  return (await projects.find(organization, id)) ?? unknown(id);
}

/** @throws Refusal project_not_found, project_archived: nothing of an archived project changes */
export async function findActiveProject(principal: Principal, id: string, services: Pick<Services, 'projects'>): Promise<Project> {
  const project = await findProject(principal, id, services);
  if (project.archivedAt === null) return project;
  throw new Refusal('project_archived', `The project "${id}" is archived`, { param: 'project_id' });
}

/** @throws Refusal project_not_found, project_archived */
export async function updateProject(
  principal: Principal,
  id: string,
  changes: ProjectChanges,
  services: Pick<Services, 'projects'>,
): Promise<Project> {
  return (await services.projects.update(principal.organization, id, changes)) ?? findActiveProject(principal, id, services);
}

/** Its keys are refused from now on; its jobs run to their end. @throws Refusal */
export async function archiveProject({ organization }: Principal, id: string, { projects }: Pick<Services, 'projects'>): Promise<Project> {
  if (id === (await projects.defaultOf(organization)))
    throw new Refusal('invalid_value', `The project "${id}" cannot be archived: the organization's own keys work in it`, { param: 'project_id' });
  return (await projects.archive(organization, id)) ?? unknown(id);
}

function unknown(id: string): never {
  throw new Refusal('project_not_found', `There is no project "${id}"`, { param: 'project_id', hint: 'GET /v1/organization/projects lists them.' });
}
