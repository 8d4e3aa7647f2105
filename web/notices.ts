/** The licenses of the packages that a build bundles, as their authors require, in a file beside its index.html. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';

/** `collect` is for the page and for its workers, which are bundled first; `write` is for the page. */
export function notices(): { collect: Plugin; write: Plugin } {
  const bundled = new Set<string>();
  const collect: Plugin = {
    name: 'collect-packages',
    apply: 'build',
    generateBundle(_options, bundle) {
      for (const file of Object.values(bundle))
        for (const id of file.type === 'chunk' ? Object.keys(file.modules) : []) {
          const [, name] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(id) ?? [];
          if (name) bundled.add(name);
        }
    },
  };
  const write: Plugin = {
    name: 'notices',
    apply: 'build',
    generateBundle() {
      const texts = [...bundled].sort().map((name) => {
        const folder = fileURLToPath(new URL(`../node_modules/${name}/`, import.meta.url));
        const { version, license } = JSON.parse(readFileSync(`${folder}package.json`, 'utf8'));
        const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
        if (!file) throw new Error(`${name} has no license file`);
        return `## ${name} ${version} (${license})\n\n${readFileSync(folder + file, 'utf8').trim()}\n`;
      });
      this.emitFile({ type: 'asset', fileName: 'THIRD_PARTY_NOTICES.md', source: texts.join('\n') });
    },
  };
  return { collect, write };
}
