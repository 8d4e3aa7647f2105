/** `attune pack` and `attune unpack`: a model folder as one file, and back. */
import type { PackFlags } from './pack.flags.ts';
import type { UnpackFlags } from './unpack.flags.ts';
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { ARCHIVE_SUFFIX } from '../../model/storage/archive.ts';
import { copyModel, packModel } from '../../model/storage/pack.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { Snapshot } from '../../model/storage/manifest.ts';
import { lockFolder } from '../../recommend/sources/lock.node.ts';
import { openPath } from '../../recommend/sources/sources.node.ts';
import { commandName, Output, shellWord } from '../common.ts';
import { UsageError } from '../errors.ts';
import { lossOfPacking } from '../packing-loss.ts';
import { InputError } from '../../data/errors.ts';
import { formatCount, formatMetric, printable } from '../output/ui.ts';

export async function runPack(flags: PackFlags): Promise<void> {
  const out = new Output(flags.json);
  const { model, out: file } = flags;
  if (!file.endsWith(ARCHIVE_SUFFIX))
    throw new UsageError(`--out ${file}: a packed model is called NAME${ARCHIVE_SUFFIX}`);
  if (existsSync(file) && statSync(file).isDirectory())
    throw new InputError('file-access', `${file}: is a folder where a file is needed`);
  if (existsSync(file) && !flags.overwrite) {
    throw new InputError('already-exists', `${file}: is there already`, {
      hint: 'add --overwrite to replace it, or choose another --out',
    });
  }
  const { weights, checkpoint } = flags;
  if (weights && checkpoint)
    throw new UsageError('--checkpoint: cannot be compressed by --weights; leave one of them out');
  if (!weights && flags.data !== undefined) throw new UsageError('--data: requires --weights, whose loss it measures');
  const files = await openPath(model);
  const pieces = await packModel(files, { checkpoint, weights });
  const folder = await NodeFiles.create(path.dirname(file));
  await folder.write(path.basename(file), pieces);
  const bytes = bytesOf(pieces);
  const packed = { model, out: file, bytes, checkpoint: checkpoint === true };
  if (weights) {
    const before = bytesOf(await packModel(files));
    out.line(`${size(before)} as it is, ${size(bytes)} with the item table in ${weights} and other weights in f16`);
    const loss = await lossOfPacking(flags, out);
    out.object({ ...packed, weights, bytesBefore: before, ...loss });
    if ('ndcg' in loss) {
      const { before: a, after: b, change, standardError, users } = loss.ndcg;
      out.line(
        `NDCG@10 of ${formatCount(users)} users (${flags.split}): ${formatMetric(a)} before, ${formatMetric(b)} after: ` +
          `${change < 0 ? '-' : '+'}${Math.abs(change).toFixed(5)} ± ${standardError.toFixed(5)} (standard error of the paired difference)`,
      );
    } else out.note(`NDCG@10 was not measured: ${loss.notMeasured}`);
  } else out.object(packed);
  out.line(
    `${printable(file)}: ${size(bytes)}, the whole model. It opens wherever --model does, in a page, and by unzip. Next:`,
  );
  out.line(`  ${commandName()} recommend --model ${shellWord(file)} --history ID,ID`);
}

export async function runUnpack(flags: UnpackFlags): Promise<void> {
  const out = new Output(flags.json);
  const from = await openPath(flags.model);
  const to = await NodeFiles.create(flags.out);
  const lock = await lockFolder(flags.out);
  try {
    await copyModel(from, to, { overwrite: flags.overwrite });
  } finally {
    await lock.release();
  }
  const files = await to.list();
  out.object({ model: flags.model, out: flags.out, files });
  out.line(`${printable(flags.out)}: ${files.map(printable).join(', ')}`);
  if (!(await (await Snapshot.open(to)).has('checkpoint.safetensors'))) {
    out.note('There is no checkpoint in it, so that no training can go on from here (attune pack --checkpoint).');
  }
}

const bytesOf = (pieces: readonly Uint8Array[]): number => pieces.reduce((sum, piece) => sum + piece.length, 0);

function size(bytes: number): string {
  return bytes < 1e6 ? `${formatCount(Math.ceil(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
