/** Samples long enough to time: an op several times to a submit, and several submits to a wait. */
import type { Device } from '../engine/index.ts';

export interface Paced {
  /** Runs of the op in a sample. */
  runs: number;
  /** Replays them and waits. */
  sample(): Promise<void>;
  dispose(): void;
}

/** Most copies of an op in one submit, and most submits before a wait. */
const MOST_COPIES = 32;
const MOST_SUBMITS = 64;

/**
 * Records `run` such that a sample takes about `milliseconds`, or one run if that takes longer. A submit costs the host
 * some 20 µs and a wait up to a millisecond, which must not count.
 */
export async function pace(device: Device, label: string, run: () => void, milliseconds = 40): Promise<Paced> {
  const record = (copies: number) =>
    device.program(label, () => {
      for (let i = 0; i < copies; i++) run();
      return {};
    });
  let program = record(1);
  const replay = async (submits: number): Promise<number> => {
    const started = performance.now();
    for (let i = 0; i < submits; i++) program.run();
    await device.settle();
    return (performance.now() - started) / submits;
  };
  await replay(1);
  let once = await replay(1);
  if (once < 5) once = await replay(16);
  const copies = Math.max(1, Math.min(MOST_COPIES, Math.round(1 / once)));
  if (copies > 1) {
    program.dispose();
    program = record(copies);
    await replay(1);
    once = await replay(4);
  }
  const submits = Math.max(1, Math.min(MOST_SUBMITS, Math.round(milliseconds / once)));
  return {
    runs: copies * submits,
    sample: async () => {
      await replay(submits);
    },
    dispose: () => program.dispose(),
  };
}
