import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import { generate } from './kernels/generate.mjs';
import { chromiumArgs, findChromium } from './scripts/system.mjs';

// Files named *.node.test.ts need Node; everything under test/kernels/ and test/browser/ else also runs in Chromium.
const node = 'test/**/*.node.test.ts';
/** Milliseconds, for hangs alone: compiling shaders takes seconds, and other work may share the cores. */
const HANG = 900_000;

generate(); // kernels/index.ts, after a change to a kernel

export default defineConfig({
  test: {
    // `npm run coverage`: of what runs in the tests' own process; commands run as users run them are not counted.
    coverage: {
      provider: 'v8',
      include: ['client', 'data', 'engine', 'model', 'recommend', 'server', 'train'].map(
        (folder) => `${folder}/**/*.ts`,
      ),
      reporter: ['text-summary', 'html'],
      reportsDirectory: 'node_modules/.cache/attune/coverage',
    },
    projects: [
      {
        test: {
          name: 'node',
          include: ['test/**/*.test.ts'],
          exclude: ['test/browser/**', 'test/web/**'],
          // One process a file, one at a time: Dawn and its device end with the process (never in a terminated thread),
          // and the software driver uses both cores by itself.
          pool: 'forks',
          maxWorkers: 1,
          testTimeout: HANG,
          hookTimeout: HANG,
          sequence: { groupOrder: 1 },
        },
      },
      {
        // The application, built, in Chromium as people use it: these tests run in Node and drive the browser.
        test: {
          name: 'web',
          include: ['test/web/**/*.test.ts'],
          globalSetup: 'test/web/setup.ts',
          pool: 'forks',
          maxWorkers: 1,
          testTimeout: HANG,
          hookTimeout: HANG,
          sequence: { groupOrder: 3 },
        },
      },
      {
        // `webgpu` is the native binding for Node. Chrome has navigator.gpu.
        optimizeDeps: { exclude: ['webgpu'] },
        test: {
          name: 'chromium',
          include: ['test/kernels/**/*.test.ts', 'test/browser/**/*.test.ts'],
          exclude: [node],
          env: { ATTUNE_DATA: process.env.ATTUNE_DATA ?? '', ATTUNE_FULL: process.env.ATTUNE_FULL ?? '' },
          maxWorkers: 1,
          fileParallelism: false,
          testTimeout: HANG,
          hookTimeout: HANG,
          sequence: { groupOrder: 2 },
          browser: {
            enabled: true,
            headless: true,
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
