import type { AdapterProof, ProofFindings } from '../../src/formats/adapter-proof.ts';
import type { HashedFile } from '../../src/formats/hashed-file.ts';
import { unixSeconds } from '../../src/formats/unix-seconds.ts';
import type { ObjectStore } from '../../src/object-store/object-store.ts';
import { downloadDirectory, filesIn, type UploadedFile } from './stored-directory.ts';

export interface ProofNeeds {
  objectStore: ObjectStore;
  /** Where the delivered files are in the store, ending in `/`. */
  prefix: string;
  /** What was uploaded there. */
  uploaded: readonly UploadedFile[];
  /** An empty folder to read them back into. */
  dir: string;
  /** Has the process that trained load them. */
  load(dir: string): Promise<ProofFindings>;
}

/** Reads a job's delivered files back from the store, compares them with what was uploaded, and has them loaded: every byte and what it means. */
export async function proveFiles({ objectStore, prefix, uploaded, dir, load }: ProofNeeds): Promise<AdapterProof> {
  const startedMs = performance.now();
  await downloadDirectory(objectStore, prefix, dir);
  const files = (await filesIn(dir)).map(({ name, sizeBytes, sha256 }): HashedFile => ({ name, bytes: sizeBytes, sha256 }));
  const damage = differences(uploaded, files);
  const unread = (): ProofFindings => ({
    tensors: null,
    effect: null,
    loss: null,
    problems: damage,
    seconds: (performance.now() - startedMs) / 1000,
  });
  const findings = damage.length === 0 ? await load(dir) : unread();
  const passed = findings.problems.length === 0;
  return { object: 'fine_tuning.job.proof', passed, created_at: unixSeconds(new Date()), files, ...findings };
}

function differences(uploaded: readonly UploadedFile[], found: readonly HashedFile[]): string[] {
  const problems: string[] = [];
  for (const { name, sizeBytes, sha256 } of uploaded) {
    const file = found.find((one) => one.name === name);
    if (file === undefined) problems.push(`${name} is not in storage any more`);
    else if (file.bytes !== sizeBytes) problems.push(`${name} came back with ${file.bytes} bytes; ${sizeBytes} were stored`);
    else if (file.sha256 !== sha256) problems.push(`${name} came back with other bytes (sha256 ${file.sha256}; stored was ${sha256})`);
  }
  for (const { name } of found) if (!uploaded.some((file) => file.name === name)) problems.push(`${name} is in storage and was not delivered`);
  return problems;
}
