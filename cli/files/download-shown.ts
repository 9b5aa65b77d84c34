import type { Context } from '../context.ts';
import type { Service } from '../service.ts';
import { bytes } from '../terminal/amounts.ts';
import { bar } from '../terminal/bar.ts';
import { clipped, safeLine } from '../terminal/text.ts';
import { type Downloaded, download } from './download.ts';

/** Downloads with a progress bar, where somebody would see it. */
export async function downloadShown(
  path: string,
  target: string,
  { service, output }: { service: Service; output: Context['output'] },
): Promise<Downloaded> {
  const live = output.live();
  try {
    return await download(path, target, {
      service,
      onProgress(received, total) {
        live?.draw([clipped(`${bar(received / total)}  ${bytes(received)} of ${bytes(total)}  ${safeLine(target)}`, output.columns)]);
      },
    });
  } finally {
    live?.clear();
  }
}
