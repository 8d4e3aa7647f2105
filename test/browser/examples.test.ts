/** The examples on the bare engine in a page: the same files, and they say the same. */
import { expect, it, vi } from 'vitest';
import { SAYS } from '../examples.ts';
import { Device } from '../../engine/index.ts';

it.each(['custom-op', 'character-model', 'deepfm'])('%s', async (name) => {
  const lines: string[] = [];
  const log = vi.spyOn(console, 'log').mockImplementation((line: string) => lines.push(line));
  try {
    await import(`../../examples/${name}.ts`);
  } finally {
    log.mockRestore();
  }
  for (const pattern of SAYS[name]) expect(lines.join('\n')).toMatch(pattern);
});

it('a tensor is one line in the console', async () => {
  const device = await Device.open({ backend: 'webgpu' });
  const x = device.tensor([1, 2, 3], [3], { label: 'weights' });
  expect(`${x}`).toMatch(/^weights f32\[3\] on webgpu \(.*\)$/);
  expect(JSON.stringify({ x })).toMatch(/^\{"x":"weights f32\[3\] on webgpu/);
  expect(Object.prototype.toString.call(x)).toBe('[object Tensor f32[3]]');
  device.close();
});
