import { setTimeout as delay } from 'node:timers/promises';
import type { RunningService } from '../running-service.ts';

/** @returns the export as the API shows it once it has ended */
export async function endOfExport<T extends { status: string }>({ inject }: RunningService, id: string): Promise<T> {
  for (;;) {
    const one = (await inject({ url: `/v1/exports/${id}` })).json<T>();
    if (!['queued', 'running'].includes(one.status)) return one;
    await delay(100);
  }
}
