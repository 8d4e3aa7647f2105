/** Losses of the steps as they are read from the device, which keeps the last `LOSS_RING` of them. */
import { type AdamW, LOSS_RING, STATUS } from '../../engine/index.ts';

export class StepLosses {
  readonly all: { step: number; loss: number }[] = [];
  last: number | null = null;
  /** Since the last validation. */
  recent = { sum: 0, count: 0 };
  readUpTo = 0;

  /** Of the recent ones; null without any. */
  get mean(): number | null {
    return this.recent.count > 0 ? this.recent.sum / this.recent.count : null;
  }

  /**
   * Reads the losses since the last read; call it at least every `LOSS_RING` steps.
   * @returns the first step that was not finite; 0 if all were
   */
  async read({ status, losses }: AdamW, step: number): Promise<number> {
    const failed = (await status.data())[STATUS.FAILED];
    const ring = await losses.data();
    if (failed !== 0) return failed;
    for (let s = Math.max(this.readUpTo + 1, step - LOSS_RING + 1); s <= step; s++) {
      this.last = ring[s % LOSS_RING];
      this.all.push({ step: s, loss: this.last });
      this.recent.sum += this.last;
      this.recent.count++;
    }
    this.readUpTo = step;
    return 0;
  }
}
