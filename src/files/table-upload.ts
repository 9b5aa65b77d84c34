import { Refusal } from '../formats/refusal.ts';
import { isTable, type TableSource } from '../formats/table-source.ts';
import type { UploadPurpose } from './purpose.ts';

/** @throws Refusal where what an upload says of a table cannot be meant */
export function checkSource(source: TableSource, { purpose, filename }: { purpose: UploadPurpose; filename: string }): void {
  const { format, mapping } = source;
  if (purpose !== 'fine-tune' && (format !== undefined || mapping !== undefined))
    throw new Refusal('invalid_value', `A file with the purpose "${purpose}" is stored as it is`, {
      param: format === undefined ? 'mapping' : 'format',
      hint: 'Leave out format and mapping, or use the purpose "fine-tune" for a dataset.',
    });
  if (mapping !== undefined && !isTable(source, filename))
    throw new Refusal('invalid_value', `mapping names columns, but ${filename} is no table by its name`, {
      param: 'mapping',
      hint: 'Give the format too: csv or parquet.',
    });
}
