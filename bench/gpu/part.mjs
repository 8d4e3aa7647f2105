/** What the parts of this folder share: their flags, the device, lines of results. */
import { parseArgs } from 'node:util';
import { Device } from '../../dist/engine/index.js';
import { nodeTuning } from '../../dist/recommend/sources/tuning.node.js';

const { values, positionals } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    quick: { type: 'boolean', default: false },
    data: { type: 'string' },
  },
  allowPositionals: true,
});

export const { quick, data } = values;
export const [what] = positionals;
/** On the clock of `performance.now()`, which starts with the process. */
export const deadline = 1000 * Number(values.seconds);

/** Prints a line for the report (see parts.mjs). */
export const emit = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** The adapter, with the kernels that `tune` chose in this run. */
export const openDevice = () => Device.open({ backend: 'webgpu', tuning: nodeTuning() });
