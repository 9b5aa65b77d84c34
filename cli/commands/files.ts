import type { Command } from 'commander';
import { contextOf } from '../context.ts';
import { collectPairs, count } from './arguments.ts';

interface UploadOptions {
  purpose: string;
  format?: string;
  map: Record<string, string>;
  wait: boolean;
}

export function addFiles(graft: Command): void {
  const files = graft.command('files').description('datasets: upload, check, list, download, delete');
  files
    .command('upload <path...>')
    .description('upload datasets, and say what the service finds in them')
    .option('--purpose <purpose>', 'what the file is for', 'fine-tune')
    .option('--format <format>', 'jsonl, csv or parquet; default: by name and content')
    .option('--map <key=column>', 'which column of a table becomes which key of an example; repeatable', collectPairs, {})
    .option('--no-wait', 'do not wait until the file has been read')
    .addHelpText(
      'after',
      `
Examples:
  $ graft files upload train.jsonl
  $ graft files upload faq.csv --map prompt=question --map completion=answer`,
    )
    .action(async (paths: string[], options: UploadOptions, command: Command) => {
      const { uploadAndJudge } = await import('../files/judged-upload.ts');
      await uploadAndJudge(paths, options, contextOf(command));
    });
  files
    .command('validate <path...>')
    .description('check datasets on this machine, as the service would; nothing is sent')
    .addHelpText('after', '\nExits with 1 if a problem was found.\n\nExample:\n  $ graft files validate train.jsonl validation.jsonl')
    .action(async (paths: string[], _options: object, command: Command) => {
      const { validate } = await import('../files/validate.ts');
      await validate(paths, contextOf(command));
    });
  files
    .command('list')
    .description('list files, newest first')
    .option('--purpose <purpose>', 'only those for this purpose')
    .option('--limit <n>', 'how many', count, 20)
    .action(async (options: { purpose?: string; limit: number }, command: Command) => {
      const { listFiles } = await import('../files/shown.ts');
      await listFiles(options, contextOf(command));
    });
  files
    .command('show <file>')
    .description('show a file, and what was found in it')
    .action(async (id: string, _options: object, command: Command) => {
      const { showFile } = await import('../files/shown.ts');
      await showFile(id, contextOf(command));
    });
  files
    .command('download <file>')
    .description("download a file's content; a download that was interrupted is continued, and the hash is checked")
    .option('-o, --out <path>', 'where to; default: its name, here')
    .action(async (id: string, { out }: { out?: string }, command: Command) => {
      const { downloadFile } = await import('../files/download-file.ts');
      await downloadFile(id, out, contextOf(command));
    });
  files
    .command('delete <file...>')
    .description('delete files; a job that uses one still finishes')
    .action(async (ids: string[], _options: object, command: Command) => {
      const { output, service } = contextOf(command);
      const { client } = await service();
      for (const id of ids) output.item(await client.files.delete(id), `${id} is deleted`);
    });
}
