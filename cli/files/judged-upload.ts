import { setTimeout as delay } from 'node:timers/promises';
import type { FileObject } from 'openai/resources/files';
import type { Context } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import type { Service } from '../service.ts';
import { bytes } from '../terminal/amounts.ts';
import { bar } from '../terminal/bar.ts';
import { clipped, safeLine } from '../terminal/text.ts';
import type { FileValidation } from '../types.ts';
import { type UploadChoices, upload } from './upload.ts';
import { requireFile } from './validate.ts';
import { validationText } from './validation-text.ts';

const ASK_EVERY_MS = 300;

/** Uploads files and says what the service found in them. Sets the exit code if there are problems. */
export async function uploadAndJudge(
  paths: readonly string[],
  options: UploadChoices & { wait: boolean },
  { output, service: connect }: Context,
): Promise<void> {
  for (const path of paths) await requireFile(path);
  const service = await connect();
  for (const path of paths) {
    const file = await uploadShown(path, options, { service, output });
    const isJudged = options.wait && options.purpose === 'fine-tune';
    const validation = isJudged ? await judgement(file.id, service) : null;
    const text = validation === null ? '' : `\n${validationText(path, validation, output.paint)}`;
    output.item({ ...(isJudged ? await service.client.files.retrieve(file.id) : file), validation }, `${file.id}${text}`);
    if (validation?.status === 'error') process.exitCode = EXIT.failed;
  }
}

/** Uploads with a progress bar, where somebody would see it. */
export async function uploadShown(
  path: string,
  choices: UploadChoices,
  { service, output }: { service: Service; output: Context['output'] },
): Promise<FileObject> {
  const live = output.live();
  try {
    return await upload(path, choices, {
      service,
      onProgress(sent, total) {
        live?.draw([clipped(`${bar(total === 0 ? 1 : sent / total)}  ${bytes(sent)} of ${bytes(total)}  ${safeLine(path)}`, output.columns)]);
      },
    });
  } finally {
    live?.clear();
  }
}

/** Waits until the service has read the dataset. */
export async function judgement(fileId: string, { client }: Service): Promise<FileValidation> {
  for (;;) {
    const validation = await client.get<FileValidation>(`/files/${encodeURIComponent(fileId)}/validation`);
    if (validation.status !== 'uploaded') return validation;
    await delay(ASK_EVERY_MS);
  }
}
