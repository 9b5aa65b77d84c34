import type { AdapterProof, ProofFindings } from '../../src/formats/adapter-proof.ts';
import type { HashedFile } from '../../src/formats/hashed-file.ts';
import type { Resume } from '../../src/formats/resumes.ts';
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
  /** Certificates of the run's resumes. */
  resumes: readonly Resume[];
  /** Loads them in the process that trained. */
  load(dir: string): Promise<ProofFindings>;
}

/**
 * Reads a job's delivered files back from the store, compares every byte with what was uploaded, and checks that they load as the trained model, and
 * that the model was, after each interruption, what it had been before.
 */
export async function proveFiles({ objectStore, prefix, uploaded, dir, resumes, load }: ProofNeeds): Promise<AdapterProof> {
  const startedMs = performance.now();
  await downloadDirectory(objectStore, prefix, dir);
  const files = (await filesIn(dir)).map(({ name, sizeBytes, sha256 }): HashedFile => ({ name, bytes: sizeBytes, sha256 }));
  const damage = differences(uploaded, files);
  const notLoaded = (): ProofFindings => ({
    tensors: null,
    effect: null,
    loss: null,
    problems: damage,
    seconds: (performance.now() - startedMs) / 1000,
  });
  const findings = damage.length === 0 ? await load(dir) : notLoaded();
  const losses = resumes.flatMap(({ checkpoint }) => (checkpoint?.loss ? [{ step: checkpoint.step, ...checkpoint.loss }] : []));
  const problems = [...findings.problems, ...losses.filter(({ difference, tolerance }) => !(difference <= tolerance)).map(jump)];
  const passed = problems.length === 0;
  return { object: 'fine_tuning.job.proof', passed, created_at: unixSeconds(new Date()), files, resumes: losses, ...findings, problems };
}

const jump = ({ step, recorded, reloaded }: { step: number; recorded: number; reloaded: number }): string =>
  `after the resume from step ${step} the loss was ${reloaded}; ${recorded} had been recorded with the checkpoint`;

function differences(uploaded: readonly UploadedFile[], found: readonly HashedFile[]): string[] {
  const problems: string[] = [];
  for (const { name, sizeBytes, sha256 } of uploaded) {
    const file = found.find((one) => one.name === name);
    if (file === undefined) problems.push(`${name} is no longer in storage`);
    else if (file.bytes !== sizeBytes) problems.push(`${name} came back with ${file.bytes} bytes; ${sizeBytes} were stored`);
    else if (file.sha256 !== sha256) problems.push(`${name} came back with different content (sha256 ${file.sha256}; ${sha256} was stored)`);
  }
  for (const { name } of found) if (!uploaded.some((file) => file.name === name)) problems.push(`${name} is in storage but was not uploaded`);
  return problems;
}
