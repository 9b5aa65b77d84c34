import type { FileObject } from 'openai/resources/files';
import type { Context } from '../context.ts';
import { bytes, time } from '../terminal/amounts.ts';
import { fields, safeLine, table } from '../terminal/text.ts';
import type { FileValidation, List } from '../types.ts';
import { validationText } from './validation-text.ts';

export async function listFiles({ purpose, limit }: { purpose?: string; limit: number }, { service, output }: Context): Promise<void> {
  const { client } = await service();
  const list = await client.get<List<FileObject>>('/files', { query: { limit, ...(purpose !== undefined && { purpose }) } });
  const rows = list.data.map((file) => [
    file.id,
    time(file.created_at),
    bytes(file.bytes),
    file.status === 'error' ? output.paint('red', file.status) : file.status,
    file.purpose,
    safeLine(file.filename),
  ]);
  const text = rows.length === 0 ? 'There are no files. Upload one: graft files upload train.jsonl' : table(HEADER, rows, output.paint);
  output.result(list, list.has_more ? `${text}\n${output.paint('dim', 'There are more: --limit shows them.')}` : text);
}

const HEADER = ['ID', 'CREATED', 'SIZE', 'STATUS', 'PURPOSE', 'NAME'];

export async function showFile(id: string, { service, output }: Context): Promise<void> {
  const { client } = await service();
  const file = await client.files.retrieve(id);
  const validation =
    file.purpose === 'fine-tune' ? await client.get<FileValidation>(`/files/${encodeURIComponent(id)}/validation`).catch(() => null) : null;
  const text = fields(
    [
      ['id', file.id],
      ['name', file.filename],
      ['purpose', file.purpose],
      ['size', bytes(file.bytes)],
      ['created', time(file.created_at)],
      ['status', file.status],
    ],
    output.paint,
  );
  const isJudged = validation !== null && validation.status !== 'uploaded';
  output.result({ ...file, validation }, isJudged ? `${text}\n${validationText(file.filename, validation, output.paint)}` : text);
}
