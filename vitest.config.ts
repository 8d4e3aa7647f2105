import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import { generate } from './kernels/generate.mjs';
import { chromiumArgs, findChromium } from './scripts/system.mjs';
import { FULL } from './test/full.ts';
import { LongestFirst } from './test/longest-first.ts';

// Files named *.node.test.ts need Node; everything else under test/kernels/ and test/browser/ also runs in Chromium.
const node = 'test/**/*.node.test.ts';
/** What these run is kernels of the case table, which Chromium compiles anew for each file: there in `test:full` alone. */
const full = ['golden/{cross,losses,mixture}', 'limits', 'spd'].map((name) => `test/kernels/${name}.test.ts`);
/** Milliseconds, for hangs alone: compiling shaders takes seconds, and other work may share the cores. */
const HANG = 900_000;
/**
 * One process a file: Dawn and its device end with the process (never in a terminated thread). Most of the work is of one
 * thread, and some waits: one process more than there are cores, up to six. Beside them runs one page of Chromium.
 */
const common = {
  maxWorkers: Math.min(availableParallelism() + 1, 6),
  sequence: { groupOrder: 1 },
  testTimeout: HANG,
  hookTimeout: HANG,
};

generate(); // after a change to a kernel

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    // Of what runs in the tests' own process or in their page; commands run as users run them are not counted.
    coverage: {
      provider: 'v8',
      include: ['client', 'data', 'engine', 'model', 'recommend', 'server', 'train'].map(
        (folder) => `${folder}/**/*.ts`,
      ),
      reporter: ['text-summary', 'html'],
      reportOnFailure: true,
      reportsDirectory: 'node_modules/.cache/attune/coverage',
    },
    projects: [
      {
        test: {
          ...common,
          name: 'node',
          include: ['test/**/*.test.ts'],
          exclude: ['test/browser/**', 'test/web/**'],
          pool: 'forks',
        },
      },
      {
        // The application, built, in Chromium as people use it: these tests run in Node and drive the browser.
        test: {
          ...common,
          name: 'web',
          include: ['test/web/**/*.test.ts'],
          globalSetup: 'test/web/setup.ts',
          pool: 'forks',
        },
      },
      {
        // `webgpu` is the native binding for Node. Chrome has navigator.gpu.
        optimizeDeps: { exclude: ['webgpu'] },
        resolve: { alias: { 'attune/engine': fileURLToPath(new URL('engine/index.ts', import.meta.url)) } },
        test: {
          ...common,
          name: 'chromium',
          include: ['test/kernels/**/*.test.ts', 'test/browser/**/*.test.ts'],
          exclude: FULL ? [node] : [node, ...full],
          env: { ATTUNE_DATA: process.env.ATTUNE_DATA ?? '', ATTUNE_FULL: process.env.ATTUNE_FULL ?? '' },
          browser: {
            enabled: true,
            headless: true,
            fileParallelism: false,
            screenshotFailures: false,
            provider: playwright({
              launchOptions: {
                executablePath: findChromium(),
                chromiumSandbox: false,
                args: [...chromiumArgs],
              },
            }),
            instances: [{ browser: 'chromium' }],
          },
        },
      },
    ],
  },
});
