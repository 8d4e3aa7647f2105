/** The training step on the demo shop: how long its kernels compile, tokens a second, what a dispatch costs the host, GPU time by kernel. */
import { benchCompile, benchStep } from '../../dist/bench/step.js';
import { emit, openDevice, quick } from './part.mjs';

const device = await openDevice();
// What the driver has in its cache of shaders is not compiled again.
if (!quick) emit({ compile: await benchCompile(device) });
emit(await benchStep(device, { small: quick, steps: quick ? 3 : undefined }));
// Again for the profile, which is apart: a failure of the timestamps loses nothing.
if (!quick) emit({ profile: (await benchStep(device, { profile: true })).profile });
device.close();
