/** The training step on the demo shop: tokens a second, what a dispatch costs the host, GPU time by kernel. */
import { benchStep } from '../../dist/bench/step.js';
import { emit, openDevice, quick } from './part.mjs';

const device = await openDevice();
emit(await benchStep(device, { small: quick, steps: quick ? 3 : undefined }));
// Again for the profile, which is apart: a failure of the timestamps loses nothing.
if (!quick) emit({ profile: (await benchStep(device, { profile: true })).profile });
device.close();
