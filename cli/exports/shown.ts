import type { Context } from '../context.ts';
import { bytes, time } from '../terminal/amounts.ts';
import { fields, safe, safeLine, table } from '../terminal/text.ts';
import type { List } from '../types.ts';
import type { Export } from './export.ts';

export async function listExports({ limit }: { limit: number }, { service, output }: Context): Promise<void> {
  const { client } = await service();
  const list = await client.get<List<Export>>('/exports', { query: { limit } });
  const rows = list.data.map((one) => [one.id, time(one.created_at), one.status, one.format, one.dtype, safeLine(one.model)]);
  const text = rows.length === 0 ? 'There are no exports. Make one: graft export create --help' : table(HEADER, rows, output.paint);
  output.result(list, list.has_more ? `${text}\n${output.paint('dim', 'There are more: --limit shows them.')}` : text);
}

const HEADER = ['ID', 'CREATED', 'STATUS', 'FORMAT', 'TYPE', 'MODEL'];

export async function showExport(id: string, { service, output }: Context): Promise<void> {
  const { client } = await service();
  const one = await client.get<Export>(`/exports/${encodeURIComponent(id)}`);
  const text = fields(
    [
      ['export', one.id],
      ['model', one.model],
      ['format', `${one.format}, ${one.dtype}`],
      ['status', one.status],
      ['hub', one.hub === null ? undefined : (one.hub.url ?? one.hub.repo_id)],
      ['error', one.error?.message],
      ['created', time(one.created_at)],
      ...one.files.map(({ name, bytes: size }): [string, string] => ['file', `${name} (${bytes(size)})`]),
    ],
    output.paint,
  );
  output.result(one, [text, ...one.warnings.map((warning) => `${output.paint('yellow', '!')} ${safe(warning)}`)].join('\n'));
}
