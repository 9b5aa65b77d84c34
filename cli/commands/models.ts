import type { Command } from 'commander';
import { type Context, contextOf } from '../context.ts';
import { bytes, parameters, time } from '../terminal/amounts.ts';
import { fields, safeLine, table } from '../terminal/text.ts';
import type { List, Model } from '../types.ts';
import { count } from './arguments.ts';

export function addModels(graft: Command): void {
  const models = graft.command('models').description('base models and tuned models: list, show, delete');
  models
    .command('list', { isDefault: true })
    .description('list base models, then tuned models, newest first')
    .option('--limit <n>', 'how many', count, 100)
    .action(async (options: { limit: number }, command: Command) => list(options, contextOf(command)));
  models
    .command('show <model>')
    .description('show a model')
    .action(async (id: string, _options: object, command: Command) => show(id, contextOf(command)));
  models
    .command('delete <model...>')
    .description('delete tuned models with their checkpoints and files, or a single checkpoint; their jobs stay')
    .action(async (ids: string[], _options: object, command: Command) => {
      const { output, service } = contextOf(command);
      const { client } = await service();
      for (const id of ids) output.item(await client.models.delete(id), `${id} is deleted`);
    });
}

async function list({ limit }: { limit: number }, { service, output }: Context): Promise<void> {
  const { client } = await service();
  const found = await client.get<List<Model>>('/models', { query: { limit } });
  const rows = found.data.map((model) => [
    safeLine(model.id),
    model.base_model === undefined ? `base, ${model.family ?? 'of an unknown family'}` : `tuned (${model.tuning_type ?? 'unknown'})`,
    model.parameters === undefined ? '' : parameters(model.parameters),
    model.base_model === undefined ? (model.downloaded === false ? 'not downloaded yet' : '') : time(model.created),
  ]);
  const text = rows.length === 0 ? 'There are no models: no worker has announced one. `graft doctor` says more.' : table(HEADER, rows, output.paint);
  output.result(found, found.has_more ? `${text}\n${output.paint('dim', 'There are more: --limit shows them.')}` : text);
}

const HEADER = ['MODEL', 'KIND', 'SIZE', ''];

async function show(id: string, { service, output }: Context): Promise<void> {
  const { client } = await service();
  const model = await client.get<Model>(`/models/${encodeURIComponent(id)}`);
  const text = fields(
    [
      ['model', model.id],
      ['family', model.family],
      ['parameters', model.parameters?.toLocaleString('en')],
      ['size', model.size_bytes === undefined ? null : bytes(model.size_bytes)],
      ['base', model.base_model],
      ['tuning', model.tuning_type],
      ['job', model.job_id],
      ['created', model.base_model === undefined ? null : time(model.created)],
    ],
    output.paint,
  );
  output.result(model, text);
}
