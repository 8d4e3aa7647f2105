/** The training step in Node, as JSON: what `npm run bench:browser` holds Chromium's against. `--small` for the small one. */
import { benchStep } from '../../dist/bench/step.js';
import { Device } from '../../dist/engine/index.js';

const device = await Device.open({ backend: 'webgpu' });
const result = await benchStep(device, { small: process.argv.includes('--small') });
device.close();
process.stdout.write(`\n${JSON.stringify(result)}\n`);
