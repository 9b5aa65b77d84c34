import { type Command, Option } from 'commander';
import { contextOf } from '../context.ts';
import type { CreateOptions } from '../exports/create.ts';
import { count } from './arguments.ts';

export function addExport(graft: Command): void {
  const exports = graft.command('export').description('tuned models in the formats of other programs: create, list, show, download, cancel, delete');
  exports
    .command('create <model>')
    .description('export a tuned model or a checkpoint, wait for it, and download it')
    .addOption(
      new Option('--format <format>', 'what for')
        .choices(['hugging_face', 'gguf', 'peft_adapter', 'gguf_adapter', 'mlx_adapter'])
        .makeOptionMandatory(),
    )
    .option('--dtype <type>', 'f32, f16, bf16, or for gguf q8_0')
    .option('-o, --out <directory>', 'where to; default: export')
    .option('--hub <repository>', 'push it to org/name of the Hugging Face hub instead of downloading it; with HF_TOKEN, as its account')
    .option('--revision <branch>', 'of the repository; default: main')
    .option('--public', 'let a new repository be seen by all')
    .option('--no-wait', 'neither wait nor download')
    .addHelpText(
      'after',
      `
The export is made by a worker; Ctrl-C stops waiting, and the export continues. A download that was
interrupted is continued, and each file's SHA-256 is checked.

Examples:
  $ graft export create ft:graft-tiny:default:first:abc123 --format gguf --dtype q8_0 --out first
  $ graft export create ft:graft-tiny:default:first:abc123 --format hugging_face
  $ HF_TOKEN=hf_… graft export create ft:graft-tiny:default:first:abc123 --format peft_adapter --hub my-org/first`,
    )
    .action(async (model: string, options: CreateOptions, command: Command) => {
      if (options.hub === undefined && (options.revision !== undefined || options.public))
        command.error('error: --revision and --public are of a repository: name it with --hub');
      const { createExport } = await import('../exports/create.ts');
      await createExport(model, options, contextOf(command));
    });
  exports
    .command('list')
    .description('list exports, newest first')
    .option('--limit <n>', 'how many', count, 20)
    .action(async (options: { limit: number }, command: Command) => {
      const { listExports } = await import('../exports/shown.ts');
      await listExports(options, contextOf(command));
    });
  exports
    .command('show <export>')
    .description('show an export')
    .action(async (id: string, _options: object, command: Command) => {
      const { showExport } = await import('../exports/shown.ts');
      await showExport(id, contextOf(command));
    });
  exports
    .command('download <export>')
    .description('download the files of an export')
    .option('-o, --out <directory>', 'where to; default: export')
    .action(async (id: string, { out = 'export' }: { out?: string }, command: Command) => {
      const { downloadExport } = await import('../exports/download.ts');
      await downloadExport(id, out, contextOf(command));
    });
  exports
    .command('cancel <export...>')
    .description('cancel exports')
    .action(async (ids: string[], _options: object, command: Command) => {
      const { output, service } = contextOf(command);
      const { client } = await service();
      for (const id of ids) {
        const cancelled = await client.post<{ status: string }>(`/exports/${encodeURIComponent(id)}/cancel`);
        output.item(cancelled, `${id} is ${cancelled.status}`);
      }
    });
  exports
    .command('delete <export...>')
    .description('delete exports with their files')
    .action(async (ids: string[], _options: object, command: Command) => {
      const { output, service } = contextOf(command);
      const { client } = await service();
      for (const id of ids) output.item(await client.delete(`/exports/${encodeURIComponent(id)}`), `${id} is deleted`);
    });
}
