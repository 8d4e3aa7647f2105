/** The process that folder.node.test.ts kills: `node writer.js DIR` saves checkpoints and best weights for ever. */
import { saveCheckpoint, saveModel } from '../../model/storage/checkpoint.ts';
import { appendMetrics, createFolder } from '../../model/storage/folder.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { lockFolder } from '../../recommend/sources/lock.node.ts';
import { checkpointOf, configOf, itemsOf } from './folder.fixture.ts';

const dir = process.argv[2];
const files = await NodeFiles.create(dir);
await lockFolder(dir);
if (process.argv[3] === 'hold') {
  process.stdout.write('held\n');
  setInterval(() => {}, 1000);
} else {
  await createFolder(files, configOf(4), itemsOf(4), { overwrite: true });
  for (let step = 1; ; step++) {
    const checkpoint = checkpointOf(step, 4, 4096);
    await saveCheckpoint(files, checkpoint);
    process.stdout.write(`${step}\n`);
    if (step % 2 === 0) {
      await saveModel(files, checkpoint.params, { step, epoch: 0, metrics: { 'NDCG@10': step / 1e6 } });
      await appendMetrics(files, { step, 'NDCG@10': step / 1e6 });
    }
  }
}
