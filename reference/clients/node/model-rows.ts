import { expectMatch, expectRefusal } from './matching.ts';
import type { Row, Setting } from './setting.ts';

const MODEL = { object: 'model', created: Number, owned_by: String };
const PERMISSION = { id: String, object: 'checkpoint.permission', created_at: Number };

async function checkpointOf({ client, trained }: Setting): Promise<string> {
  const { data } = await client.fineTuning.jobs.checkpoints.list((await trained()).id);
  return data[0]!.fine_tuned_model_checkpoint;
}

/** A project that the checkpoint is shared with. */
async function share(setting: Setting, call: (checkpoint: string, permission: { id: string; project_id: string }) => Promise<void>): Promise<void> {
  const { client } = setting;
  const checkpoint = await checkpointOf(setting);
  const project = await client.admin.organization.projects.create({ name: 'sharing' });
  const { data } = await client.fineTuning.checkpoints.permissions.create(checkpoint, { project_ids: [project.id] });
  expectMatch(data, [{ ...PERMISSION, project_id: project.id }]);
  await call(checkpoint, data[0]!);
  await client.admin.organization.projects.archive(project.id);
}

const holds = (id: string) => (data: unknown) => Array.isArray(data) && data.some((permission) => permission.id === id);

export const modelRows: Row[] = [
  [
    'models.list',
    'to its end',
    async ({ client, trained }) => {
      const { fine_tuned_model } = await trained();
      const ids: string[] = [];
      for await (const model of client.models.list()) {
        expectMatch(model, MODEL);
        ids.push(model.id);
      }
      expectMatch([ids.includes('graft-tiny'), ids.includes(fine_tuned_model!)], [true, true]);
    },
  ],
  [
    'models.retrieve',
    'of a base model',
    async ({ client }) => expectMatch(await client.models.retrieve('graft-tiny'), { ...MODEL, id: 'graft-tiny' }),
  ],
  [
    'models.retrieve',
    'of a tuned model',
    async ({ client, trained }) => {
      const id = (await trained()).fine_tuned_model!;
      expectMatch(await client.models.retrieve(id), { ...MODEL, id });
    },
  ],
  [
    'models.retrieve',
    'of an unknown model',
    async ({ client, openai }) =>
      expectRefusal(client.models.retrieve('ft:none:x:y:z'), openai.NotFoundError, { code: 'model_not_found', type: 'invalid_request_error' }),
  ],
  ['fineTuning.checkpoints.permissions.create', 'for another project', async (setting) => share(setting, async () => {})],
  [
    'fineTuning.checkpoints.permissions.list',
    'of a checkpoint',
    async (setting) =>
      share(setting, async (checkpoint, { id, project_id }) => {
        const { data } = await setting.client.fineTuning.checkpoints.permissions.list(checkpoint, { project_id, order: 'descending', limit: 5 });
        expectMatch(data, holds(id));
      }),
  ],
  [
    'fineTuning.checkpoints.permissions.retrieve',
    'of a checkpoint',
    async (setting) =>
      share(setting, async (checkpoint, { id, project_id }) => {
        const list = await setting.client.fineTuning.checkpoints.permissions.retrieve(checkpoint, { project_id });
        expectMatch(list, { object: 'list', has_more: Boolean, first_id: String, last_id: String, data: holds(id) });
      }),
  ],
  [
    'fineTuning.checkpoints.permissions.delete',
    'of one permission',
    async (setting) =>
      share(setting, async (checkpoint, { id, project_id }) => {
        const { permissions } = setting.client.fineTuning.checkpoints;
        const deleted = await permissions.delete(id, { fine_tuned_model_checkpoint: checkpoint });
        expectMatch(deleted, { id, object: 'checkpoint.permission', deleted: true });
        expectMatch((await permissions.list(checkpoint, { project_id })).data, []);
      }),
  ],
];

/** After everything else, because it takes the model away. */
export const lastModelRows: Row[] = [
  [
    'models.delete',
    'of a base model, and of a tuned model',
    async ({ client, openai, trained }) => {
      await expectRefusal(client.models.delete('graft-tiny'), openai.APIError);
      const id = (await trained()).fine_tuned_model!;
      expectMatch(await client.models.delete(id), { id, object: 'model', deleted: true });
      await expectRefusal(client.models.retrieve(id), openai.NotFoundError);
    },
  ],
];
