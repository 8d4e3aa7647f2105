/**
 * The training step on one pool of sequences (see ../peers/sequences.mjs): Attune's, and PyTorch's, eager and compiled,
 * on the GPU where torch sees one. Real tokens a second; padding counts for nothing.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { makeSasrec } from '../peers/peers/attune-sasrec.mjs';
import { sasrecPool } from '../peers/sequences.mjs';
import { deadline, emit, openDevice, quick } from './part.mjs';

/** Milliseconds that a step is timed at least. */
const SAMPLE = quick ? 1 : 3000;

const { file, tokens, about } = await (quick ? sasrecPool(16, { budget: '256' }) : sasrecPool());
emit({ about, tokens });
const device = await openDevice();
const attune = makeSasrec(device, { file });
const once = async () => (await attune.time(1)).tokens;
await once();
const started = performance.now();
let trained = 0;
do trained += await once();
while (performance.now() - started < SAMPLE && performance.now() < deadline);
emit({ row: { peer: 'attune', tokensPerSecond: (1000 * trained) / (performance.now() - started) } });
attune.dispose();
device.close();

const script = fileURLToPath(new URL('torch_step.py', import.meta.url));
const child = spawn('python3', [script, file, `${tokens}`, `${SAMPLE / 1000}`], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
child.on('error', (error) => emit({ pytorch: `not run: ${error.message}` }));
createInterface({ input: child.stdout }).on('line', (line) => process.stdout.write(`${line}\n`));
child.on('close', (code) => {
  process.exitCode = code ?? 1;
});
