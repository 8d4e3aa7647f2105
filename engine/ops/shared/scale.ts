/** y = [y +] factor · x: the op `scale`, and the gradient of whatever passes it on unchanged or negated. */
import { into } from '../../autograd.ts';
import type { Reference } from '../../reference.ts';
import { groups, kernel } from '../../kernel.ts';
import type { Tensor } from '../../tensor.ts';

const SCALE = kernel('scale', (p) => groups(p.n, 1024));

export const scaleReference: Reference = ({ x, y }, { n, factor, acc }) => {
  for (let i = 0; i < n; i++) y[i] = (acc ? y[i] : 0) + factor * x[i];
};

/** y = [y +] factor · x for two tensors of one size. */
export function scaleTo(x: Tensor, y: Tensor, factor: number, acc: number): void {
  x.device.run(SCALE, scaleReference, { x, y }, { n: x.size, factor, acc });
}

/** Adds factor · dy to the gradient of x, which has dy's size. */
export function scaleInto(dy: Tensor, x: Tensor, factor: number): void {
  const { grad, acc } = into(x);
  scaleTo(dy, grad, factor, acc);
}
