import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkSystem, findAdapter, packagesCurrent } from '../scripts/setup.mjs';
import { deriveBackports, findChromium, planInstall, readDistribution } from '../scripts/system.mjs';
import { generateIndex, render } from '../kernels/generate.mjs';

const root = new URL('..', import.meta.url).pathname;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'attune-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** An environment that shows set-up another distribution, with the given files under /etc/apt. */
function machine(osRelease: string, apt: Record<string, string> = {}): Record<string, string> {
  writeFileSync(join(folder, 'os-release'), osRelease);
  mkdirSync(join(folder, 'apt/sources.list.d'), { recursive: true });
  for (const [name, text] of Object.entries(apt)) writeFileSync(join(folder, 'apt', name), text);
  return { PATH: folder, ATTUNE_OS_RELEASE: join(folder, 'os-release'), ATTUNE_APT_DIR: join(folder, 'apt') };
}

const debian12 =
  'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian\n';
const debian13 = 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n';
const ubuntu = 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="25.04"\nVERSION_CODENAME=plucky\n';
const sources = `# the archive
Types: deb deb-src
# a remark
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc=

Types: deb
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main
`;

describe("the backports source is the machine's own mirror", () => {
  const derive = (path: string, text: string) => deriveBackports([{ path, text }], 'bookworm');

  test('from deb822, an inline key kept', () => {
    expect(derive('a.sources', sources)).toBe(`Types: deb
URIs: http://mirror.test/debian
Suites: bookworm-backports
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc=
`);
  });

  test('from one-line entries, options kept', () => {
    const text = `# deb http://commented.test/debian bookworm main
deb cdrom:[Debian 12]/ bookworm main
deb http://mirror.test/debian-security bookworm-security main
deb [arch=amd64,arm64 signed-by=/keys/a.gpg] http://mirror.test/debian bookworm main contrib # remark
`;
    expect(derive('sources.list', text)).toBe(`Types: deb
URIs: http://mirror.test/debian
Suites: bookworm-backports
Components: main
Architectures: amd64 arm64
Signed-By: /keys/a.gpg
`);
  });

  test('none where no enabled entry serves the release', () => {
    expect(derive('a.sources', sources.replaceAll('bookworm', 'trixie'))).toBeNull();
    expect(derive('a.sources', `Enabled: no\n${sources}`.replace('# the archive\n', ''))).toBeNull();
    expect(derive('sources.list', '\n')).toBeNull();
  });
});

describe('the plan', () => {
  const both = { driver: true, chromium: true };

  test('Debian 12 takes the driver from derived backports, Chromium from the archive', () => {
    const plan = planInstall(both, machine(debian12, { 'sources.list.d/debian.sources': sources }));
    expect(plan.installs).toEqual([
      { packages: ['mesa-vulkan-drivers', 'libvulkan1'], release: 'bookworm-backports' },
      { packages: ['chromium'], release: null },
    ]);
    expect(plan.source).toContain('Suites: bookworm-backports\n');
    expect(plan.automatic).toBe(true);
  });

  test('the printed command writes exactly the derived source', () => {
    const plan = planInstall({ driver: true }, machine(debian12, { 'sources.list.d/debian.sources': sources }));
    const written = execFileSync('sh', ['-c', plan.command.split(' | ')[0]!], { encoding: 'utf8' });
    expect(written).toBe(plan.source);
    expect(plan.command).toMatch(/ && sudo apt-get install -y -t bookworm-backports mesa-vulkan-drivers libvulkan1$/);
  });

  test('backports that are already known are used as they are', () => {
    const env = machine(debian12, { 'sources.list': 'deb http://mirror.test/debian bookworm-backports main\n' });
    const plan = planInstall({ driver: true }, env);
    expect(plan.source).toBeNull();
    expect(plan.command).toBe(
      'sudo apt-get update && sudo apt-get install -y -t bookworm-backports mesa-vulkan-drivers libvulkan1',
    );
  });

  test('Debian 12 without an entry to derive from is left to the user', () => {
    const plan = planInstall({ driver: true }, machine(debian12));
    expect(plan.automatic).toBe(false);
    expect(plan.command).toContain('bookworm-backports');
  });

  test("Debian 13 and Ubuntu take the driver from the archive; Ubuntu's Chromium is Playwright's", () => {
    const debian = planInstall(both, machine(debian13));
    expect(debian.command).toBe(
      'sudo apt-get update && sudo apt-get install -y mesa-vulkan-drivers libvulkan1 && sudo apt-get install -y chromium',
    );
    const other = planInstall(both, machine(ubuntu));
    expect(other.command).toMatch(/libvulkan1 && npx playwright install --with-deps chromium$/);
    expect(other.playwright).toBe(true);
  });

  test('elsewhere it prints what to install and changes nothing', () => {
    const plan = planInstall({ driver: true }, machine('ID=fedora\nPRETTY_NAME="Fedora 42"\n'));
    expect(plan.automatic).toBe(false);
    expect(plan.installs).toEqual([]);
    expect(plan.command).toContain('Fedora 42');
    expect(readDistribution({ ATTUNE_OS_RELEASE: join(folder, 'absent') }).id).toBe('');
  });
});

describe('checkSystem', () => {
  const env = () => machine(debian12, { 'sources.list': 'deb http://mirror.test/debian bookworm main\n' });

  test('without root: one line with the exact command, nothing installed', async () => {
    for (const need of ['start', 'test'] as const) {
      const lines: string[] = [];
      const result = await checkSystem(need, {
        env: env(),
        root: false,
        say: (line: string) => lines.push(line),
        adapter: async () => null,
        chromium: async () => true,
        install: () => expect.unreachable(),
      });
      expect(result).toEqual({ adapter: null, ok: false });
      expect(lines).toHaveLength(1);
      expect(lines[0]).toMatch(/^no WebGPU adapter here\. To get it: printf .*mirror\.test.* libvulkan1$/);
    }
  });

  test('as root: installs, looks again, and finds everything', async () => {
    let installed = false;
    const result = await checkSystem('test', {
      env: env(),
      root: true,
      say: () => {},
      adapter: async () => (installed ? 'lavapipe' : null),
      chromium: async () => installed,
      postgres: () => installed,
      redis: () => installed,
      install: async () => {
        installed = true;
        return null;
      },
    });
    expect(result).toEqual({ adapter: 'lavapipe', ok: true });
  });

  test('PostgreSQL and Redis are installed where that can be done, and missed nowhere', async () => {
    const there = { adapter: async () => 'a', chromium: async () => true, say: () => {} };
    const plans: { installs: object[]; command: string }[] = [];
    const install = async (plan: (typeof plans)[number]) => {
      plans.push(plan);
      return null;
    };
    for (const [need, root, osRelease, postgres] of [
      ['test', true, debian13, false],
      ['test', true, debian13, true],
      ['test', false, debian13, false],
      ['test', true, 'ID=fedora\n', false],
      ['start', true, debian13, false],
    ] as const) {
      const injected = {
        ...there,
        env: machine(osRelease),
        root,
        postgres: () => postgres,
        redis: () => postgres,
        install,
      };
      expect(await checkSystem(need, injected)).toEqual({ adapter: 'a', ok: true });
    }
    expect(plans).toMatchObject([
      {
        installs: [{ packages: ['postgresql', 'redis-server'], release: null }],
        command: 'sudo apt-get update && sudo apt-get install -y postgresql redis-server',
      },
    ]);
  });

  test('as root: a failed installation says why, then how', async () => {
    const lines: string[] = [];
    const { ok } = await checkSystem('start', {
      env: env(),
      root: true,
      say: (line: string) => lines.push(line),
      adapter: async () => null,
      install: async () => 'E: no space left',
    });
    expect(ok).toBe(false);
    expect(lines.slice(1)).toEqual([
      'the installation failed: E: no space left',
      expect.stringMatching(/^no WebGPU adapter here\. To get it: /),
    ]);
  });

  test('a start does not ask for Chromium', async () => {
    const result = await checkSystem('start', { adapter: async () => 'a', chromium: () => expect.unreachable() });
    expect(result).toEqual({ adapter: 'a', ok: true });
  });

  test('the probe distinguishes an adapter from none', async () => {
    expect(await findAdapter()).toBeTruthy();
    expect(await findAdapter({ env: { ...process.env, VK_DRIVER_FILES: '/nonexistent' } })).toBeNull();
  });
});

test('Chromium is searched on the PATH, after an override', () => {
  expect(findChromium({ PATH: folder })).toBeUndefined();
  writeFileSync(join(folder, 'chromium'), '');
  chmodSync(join(folder, 'chromium'), 0o755);
  expect(findChromium({ PATH: `/nonexistent:${folder}` })).toBe(join(folder, 'chromium'));
  expect(findChromium({ PATH: folder, ATTUNE_CHROMIUM: '/opt/mine' })).toBe('/opt/mine');
});

test("packages: missing, complete, another version, another platform's optional one", () => {
  const lock = (entries: object) => JSON.stringify({ packages: { '': {}, ...entries } });
  const wanted = { 'node_modules/a': { version: '1.0.0' }, 'node_modules/mac': { version: '1.0.0', optional: true } };
  writeFileSync(join(folder, 'package-lock.json'), lock(wanted));
  expect(packagesCurrent(folder)).toBe(false);
  mkdirSync(join(folder, 'node_modules/a'), { recursive: true });
  writeFileSync(join(folder, 'node_modules/.package-lock.json'), lock({ 'node_modules/a': { version: '1.0.0' } }));
  expect(packagesCurrent(folder)).toBe(false);
  writeFileSync(join(folder, 'node_modules/a/package.json'), '{}');
  expect(packagesCurrent(folder)).toBe(true);
  writeFileSync(join(folder, 'node_modules/.package-lock.json'), lock({ 'node_modules/a': { version: '0.9.0' } }));
  expect(packagesCurrent(folder)).toBe(false);
});

test("package-lock.json names every platform's packages and no registry", () => {
  const text = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const { packages } = JSON.parse(text) as { packages: Record<string, { optionalDependencies?: object }> };
  const missing = Object.values(packages)
    .flatMap(({ optionalDependencies }) => Object.keys(optionalDependencies ?? {}))
    .filter((name) => !Object.keys(packages).some((path) => path.endsWith(`node_modules/${name}`)));
  // Without an entry for each, npm ci refuses the lock file.
  expect(missing).toEqual([]);
  expect(text).not.toContain('"resolved"');
});

test('no npm script needs a POSIX shell', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  for (const [name, script] of Object.entries(scripts)) {
    // What cmd.exe understands as well: programs with plain arguments, one after another.
    for (const command of script.split(' && ')) {
      expect(command, name).toMatch(/^(node|npm run|npm|tsc|vite|biome|knip|python3)( [\w./:-]+)*$/);
    }
  }
});

test('set-up with nothing missing is silent', () => {
  const run = () =>
    spawnSync(process.execPath, [join(root, 'scripts/setup.mjs'), '--need', 'test'], { encoding: 'utf8' });
  const first = run(); // may still have something to build
  expect(first.status, first.stderr).toBe(0);
  const second = run();
  expect(second).toMatchObject({ status: 0, stdout: '', stderr: '' });
});

describe('kernels/generate.mjs', () => {
  test('kernels/index.ts is made by set-up and not committed', () => {
    expect(spawnSync('git', ['ls-files', 'kernels/index.ts'], { cwd: root, encoding: 'utf8' }).stdout).toBe('');
    expect(readFileSync(join(root, 'kernels/index.ts'), 'utf8')).toBe(render());
  });

  test('file stems are names: two files of one stem are refused', () => {
    for (const name of ['one', 'two']) {
      mkdirSync(join(folder, name), { recursive: true });
      writeFileSync(join(folder, name, 'same.wgsl'), '');
    }
    mkdirSync(join(folder, 'lib'));
    expect(() => render(folder)).toThrow('two kernels are named same.wgsl');
  });

  test('shader text survives quoting, in a fixed order, without comments and spaces that the engine does not read', async () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it must be returned verbatim
    const text = 'enable f16; // @use `tick` ${not} \\n \\ ’\nfn f() {}\n';
    mkdirSync(join(folder, 'lib'));
    mkdirSync(join(folder, 'op'));
    writeFileSync(join(folder, 'op/b.wgsl'), `// What it does.\n${text.replace('{}', '{} // why')}\n`);
    writeFileSync(join(folder, 'a.wgsl'), 'fn a() {}\r\n');
    writeFileSync(join(folder, 'lib/c-d.wgsl'), '');
    expect(generateIndex(folder)).toBe(true);
    expect(generateIndex(folder)).toBe(false);
    expect(readFileSync(join(folder, 'index.ts'), 'utf8')).toBe(render(folder));
    writeFileSync(join(folder, 'index.mjs'), render(folder).replaceAll(': Record<string, string>', ''));
    const { sources: kernels, lib } = await import(/* @vite-ignore */ join(folder, 'index.mjs'));
    expect(Object.entries(kernels)).toEqual([
      ['a', 'fn a(){}\n'],
      ['b', text.replace('f() {}', 'f(){}')],
    ]);
    expect(lib).toEqual({ 'c-d': '' });
  });
});
