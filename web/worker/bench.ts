/** The kernel cases of `attune bench` in this browser. */
import { benchCases } from '../../bench/cases.ts';
import { benchKernels, type KernelBench } from '../../bench/kernels.ts';
import { InputError } from '../../data/errors.ts';
import { sharedDevice, trim } from './device.ts';

export const caseNames = (): string[] => benchCases.map(({ name }) => name);

export interface BenchAsked {
  /** Only cases with this in their name. */
  filter: string;
  /** Divides the number of rows of every case. */
  scale: number;
}

/** @throws InputError without WebGPU, or if no case has that name */
export async function runCases({ filter, scale }: BenchAsked, onCase: (name: string) => void): Promise<KernelBench> {
  const device = await sharedDevice();
  if (!device.gpu)
    throw new InputError('unsupported', 'kernels run on WebGPU, which is missing here; there is nothing to compare');
  if (!caseNames().some((name) => name.includes(filter)))
    throw new InputError('not-found', `no case has ${filter} in its name`);
  try {
    return await benchKernels(device, { filter, scale, onCase });
  } finally {
    trim(device);
  }
}
