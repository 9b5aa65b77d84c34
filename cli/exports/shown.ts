import type { Context } from '../context.ts';
import { eventLine } from '../jobs/shown.ts';
import { bytes, time } from '../terminal/amounts.ts';
import { fields, safe, safeLine, table } from '../terminal/text.ts';
import type { List } from '../types.ts';
import type { Export, ExportEvent } from './export.ts';

export async function listExports({ limit }: { limit: number }, { service, output }: Context): Promise<void> {
  const { client } = await service();
  const list = await client.get<List<Export>>('/exports', { query: { limit } });
  const rows = list.data.map((one) => [one.id, time(one.created_at), one.status, one.format, one.dtype, safeLine(one.model)]);
  const text = rows.length === 0 ? 'There are no exports. Make one: graft export create --help' : table(HEADER, rows, output.paint);
  output.result(list, list.has_more ? `${text}\n${output.paint('dim', 'There are more: --limit shows them.')}` : text);
}

const HEADER = ['ID', 'CREATED', 'STATUS', 'FORMAT', 'TYPE', 'MODEL'];

/** The newest so many. */
const EVENTS_SHOWN = 20;

export async function showExport(id: string, { service, output }: Context): Promise<void> {
  const { client } = await service();
  const path = `/exports/${encodeURIComponent(id)}`;
  const [one, { data: events }] = await Promise.all([
    client.get<Export>(path),
    client.get<List<ExportEvent>>(`${path}/events`, { query: { limit: EVENTS_SHOWN } }),
  ]);
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
  const history =
    events.length === 0 ? [] : ['', output.paint('bold', 'Events'), ...events.toReversed().map((event) => eventLine(event, output.paint))];
  const warnings = one.warnings.map((warning) => `${output.paint('yellow', '!')} ${safe(warning)}`);
  output.result({ ...one, events }, [text, ...warnings, ...history].join('\n'));
}
