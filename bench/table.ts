/** The bench's tables, for the terminal; the browser's bench prints the same. */
import { table } from '../cli/output/ui.ts';
import type { KernelBench } from './kernels.ts';
import type { Roofline } from './roofline.ts';

export const rooflineLine = ({ gflops, gbs }: Roofline): string =>
  `roofline, measured: ${gflops.toFixed(1)} GFLOP/s multiply-adds, ${gbs.toFixed(1)} GB/s copying`;

export function kernelsTable({ roofline, rows }: KernelBench): string {
  const cells = rows.map((r) => [
    ...[r.case, r.ms.toFixed(3), r.gflops.toFixed(2), r.gbs.toFixed(2), `${(100 * r.fraction).toFixed(1)}%`],
    ...[r.referenceMs.toFixed(1), r.speedup.toFixed(r.speedup < 10 ? 2 : 1)],
  ]);
  const head = ['', 'ms', 'GFLOP/s', 'GB/s', 'of roofline', 'reference ms', 'times faster'];
  return `${table(head, cells)}\n${rooflineLine(roofline)}`;
}
