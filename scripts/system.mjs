/**
 * What this machine has and lacks (distribution, Chromium, software Vulkan driver), and how to install what is missing.
 * No dependencies; nothing here changes the machine (scripts/setup.mjs does). `attune doctor` uses it too.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Path of a system Chromium, `ATTUNE_CHROMIUM` first; undefined if only Playwright's own browser remains. */
export function findChromium(env = process.env) {
  if (env.ATTUNE_CHROMIUM) return env.ATTUNE_CHROMIUM;
  const folders = (env.PATH ?? '').split(delimiter).filter(Boolean);
  for (const name of ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']) {
    const folder = folders.find((one) => existsSync(join(one, name)));
    if (folder) return join(folder, name);
  }
  return undefined;
}

/** The folder of PostgreSQL's newest programs, which Debian keeps out of the PATH; undefined if there is none. */
export function findPostgres(env = process.env) {
  const debian = env.ATTUNE_POSTGRES_DIR ?? '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [...versions.map((version) => join(debian, version, 'bin')), ...(env.PATH ?? '').split(delimiter)];
  return folders.find((folder) => ['initdb', 'postgres'].every((name) => existsSync(join(folder, name))));
}

/** The program of Redis; undefined if there is none. */
export function findRedis(env = process.env) {
  const folders = env.ATTUNE_REDIS_DIR ? [env.ATTUNE_REDIS_DIR] : (env.PATH ?? '').split(delimiter);
  return folders.map((folder) => join(folder, 'redis-server')).find((file) => existsSync(file));
}

/** For tests: SwiftShader's adapter, no crash of the GPU process without a GPU, and no network. */
export const chromiumArgs = [
  '--enable-unsafe-webgpu',
  '--disable-gpu',
  '--disable-quic',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost',
];

/**
 * The distribution from /etc/os-release (`ATTUNE_OS_RELEASE` names another file).
 * @returns {{ id: string, version: number, codename: string, name: string }} empty strings and 0 where unknown
 */
export function readDistribution(env = process.env) {
  const path = env.ATTUNE_OS_RELEASE ?? '/etc/os-release';
  const fields = {};
  for (const line of existsSync(path) ? readFileSync(path, 'utf8').split('\n') : []) {
    const match = /^(\w+)=["']?(.*?)["']?$/.exec(line);
    if (match) fields[match[1]] = match[2];
  }
  return {
    id: fields.ID ?? '',
    version: Number.parseFloat(fields.VERSION_ID ?? '') || 0,
    codename: fields.VERSION_CODENAME ?? '',
    name: fields.PRETTY_NAME ?? process.platform,
  };
}

/** Every text of APT's sources, sources.list first (`ATTUNE_APT_DIR` names another /etc/apt). */
export function readAptSources(env = process.env) {
  const folder = env.ATTUNE_APT_DIR ?? '/etc/apt';
  const parts = join(folder, 'sources.list.d');
  const paths = existsSync(parts)
    ? readdirSync(parts)
        .sort()
        .map((name) => join(parts, name))
    : [];
  return [join(folder, 'sources.list'), ...paths]
    .filter((path) => /\.(list|sources)$/.test(path) && existsSync(path))
    .map((path) => ({ path, text: readFileSync(path, 'utf8') }));
}

/** deb822 text to stanzas: maps of lower-case field to { name, value }, continuation lines kept in the value. */
function parseStanzas(text) {
  return text.split(/\n\s*\n/).map((block) => {
    const stanza = new Map();
    let last = null;
    for (const line of block.split('\n')) {
      if (line.startsWith('#') || line.trim() === '') continue;
      const match = /^([A-Za-z0-9-]+):\s*(.*)$/.exec(line);
      if (match) {
        last = { name: match[1], value: match[2].trimEnd() };
        stanza.set(match[1].toLowerCase(), last);
      } else if (last && /^\s/.test(line)) last.value += `\n${line.trimEnd()}`;
    }
    return stanza;
  });
}

/** One `deb [options] uri suite components…` line as a deb822 stanza, or null. */
function parseOneLine(line) {
  const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line);
  if (!match) return null;
  const stanza = new Map();
  const set = (name, value) => stanza.set(name.toLowerCase(), { name, value });
  set('Types', 'deb');
  set('URIs', match[2]);
  set('Suites', match[3]);
  set('Components', match[4].trim());
  const names = { arch: 'Architectures', lang: 'Languages', target: 'Targets' };
  for (const option of (match[1] ?? '').trim().split(/\s+/).filter(Boolean)) {
    const [key, value = ''] = option.split(/=(.*)/s);
    set(names[key] ?? key.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase()), value.replaceAll(',', ' '));
  }
  return stanza;
}

/**
 * The backports source of this machine's own mirror, as a deb822 stanza: the entry that serves `codename` itself, with
 * the suite and component replaced and everything else (mirror, keys, architectures) kept.
 * @param {{ path: string, text: string }[]} sources what readAptSources gives
 * @returns {string | null} null if no entry serves `codename`
 */
export function deriveBackports(sources, codename) {
  for (const { path, text } of sources) {
    const stanzas = path.endsWith('.sources') ? parseStanzas(text) : text.split('\n').map(parseOneLine);
    for (const stanza of stanzas) {
      const words = (name) => (stanza?.get(name)?.value ?? '').split(/\s+/);
      if (!words('types').includes('deb') || /^no$/i.test(words('enabled')[0])) continue;
      if (!words('suites').includes(codename) || words('uris').some((uri) => uri.startsWith('cdrom:'))) continue;
      stanza.get('types').value = 'deb';
      stanza.get('suites').value = `${codename}-backports`;
      stanza.set('components', { name: 'Components', value: 'main' });
      return [...stanza.values()].map(({ name, value }) => `${name}: ${value}\n`.replace(': \n', ':\n')).join('');
    }
  }
  return null;
}

/** Whether APT already knows the backports of `codename`. */
function hasBackports(sources, codename) {
  return sources.some(({ text }) =>
    text.split('\n').some((line) => !line.startsWith('#') && line.includes(`${codename}-backports`)),
  );
}

const quote = (text) => `'${text.replaceAll("'", `'\\''`).replaceAll('\n', '\\n')}'`;

/**
 * How to install what is missing here.
 *
 * Dawn refuses the Mesa 22.3 of Debian 12, whose backports have 25; Debian 13 and Ubuntu 25.04 have that in their main
 * archive. Ubuntu's `chromium` is a snap, which containers cannot run: Playwright's own build is used instead.
 *
 * @param {{ driver?: boolean, chromium?: boolean, postgres?: boolean, redis?: boolean }} missing
 * @returns {{ installs: { packages: string[], release: string | null }[], source: string | null, playwright: boolean,
 *   command: string, automatic: boolean }} `installs` are runs of apt-get install, `source` a stanza to add for them,
 *   `command` the same as one line to type, `automatic` whether scripts/setup.mjs may do it as root
 */
export function planInstall(missing, env = process.env) {
  const { id, version, codename, name } = readDistribution(env);
  const apt = process.platform === 'linux' && (id === 'debian' || id === 'ubuntu');
  const plan = { installs: [], source: null, playwright: false, command: '', automatic: apt };
  const commands = [];
  if (missing.driver && apt) {
    const packages = ['mesa-vulkan-drivers', 'libvulkan1'];
    const release = id === 'debian' && version === 12 ? `${codename}-backports` : null;
    const sources = release ? readAptSources(env) : [];
    if (release && !hasBackports(sources, codename)) {
      plan.source = deriveBackports(sources, codename);
      const file = `/etc/apt/sources.list.d/${release}.sources`;
      if (plan.source) commands.push(`printf ${quote(plan.source.replaceAll('%', '%%'))} | sudo tee ${file}`);
      else plan.automatic = false;
      if (!plan.source) commands.push(`: add ${release} of your Debian mirror to /etc/apt/sources.list.d/, then`);
    }
    plan.installs.push({ packages, release });
    commands.push(
      'sudo apt-get update',
      `sudo apt-get install -y ${release ? `-t ${release} ` : ''}${packages.join(' ')}`,
    );
  } else if (missing.driver && process.platform === 'linux') {
    commands.push(`: install Mesa >= 25 with lavapipe and the Vulkan loader with the package manager of ${name}`);
  } else if (missing.driver) {
    commands.push(': update the graphics driver of this machine');
  }
  if (missing.chromium && apt && id === 'debian') {
    plan.installs.push({ packages: ['chromium'], release: null });
    if (!missing.driver) commands.push('sudo apt-get update');
    commands.push('sudo apt-get install -y chromium');
  } else if (missing.chromium) {
    plan.playwright = true;
    commands.push(`npx playwright install ${process.platform === 'linux' ? '--with-deps ' : ''}chromium`);
  }
  const databases = [missing.postgres && 'postgresql', missing.redis && 'redis-server'].filter(Boolean);
  if (databases.length > 0 && apt) {
    plan.installs.push({ packages: databases, release: null });
    if (!commands.some((command) => command.endsWith('apt-get update'))) commands.push('sudo apt-get update');
    commands.push(`sudo apt-get install -y ${databases.join(' ')}`);
  }
  plan.command = commands.join(' && ').replaceAll(', then && ', ', then ');
  return plan;
}
