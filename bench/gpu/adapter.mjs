/** The adapter as it describes itself, before anything runs on it: what is known even where all the rest fails. */
import { matrixConfigs } from '../../dist/engine/index.js';
import { emit, openDevice } from './part.mjs';

const device = await openDevice();
const { gpu, caps } = device;
const { vendor, architecture, device: model, description } = gpu.info;
const limits = {};
for (const name in gpu.gpu.limits) if (typeof gpu.gpu.limits[name] === 'number') limits[name] = gpu.gpu.limits[name];
emit({
  name: device.name,
  info: { vendor, architecture, device: model, description },
  caps,
  matrices: matrixConfigs(gpu.info),
  features: [...gpu.gpu.features],
  limits,
});
device.close();
