import { addLayernorm, layernorm, rmsnorm } from '../../../engine/index.ts';
import { type Case, everyWidth, type InputSpec, shapes } from '../harness.ts';

export const normVariants = {
  layernorm_fwd: [
    'layernorm_fwd_sg8 ROWS=16',
    'layernorm_fwd_sg8 ROWS=4',
    'layernorm_fwd_odd8',
    'layernorm_fwd',
    'layernorm_fwd_row',
    'layernorm_fwd_sub',
  ],
  layernorm_bwd: ['layernorm_bwd_sg8', 'layernorm_bwd_odd8', 'layernorm_bwd', 'layernorm_bwd_row', 'layernorm_bwd_sub'],
  layernorm_bwd_columns: ['layernorm_bwd_columns'],
};
/** With every size of workgroup; compiling them takes seconds. */
const everyVariant = {
  layernorm_fwd: everyWidth('layernorm_fwd_sub'),
  layernorm_bwd: everyWidth('layernorm_bwd_sub'),
};
const tolerance = { abs: 2e-5, rel: 2e-5 };

function plain(name: string, rows: number, d: number, value?: InputSpec['value']): Case {
  return {
    op: 'layernorm',
    name,
    inputs: { x: { shape: [rows, d], value }, weight: { shape: [d] }, bias: { shape: [d] } },
    run: ({ x, weight, bias }) => layernorm(x, weight, bias),
    variants: normVariants,
    tolerance,
  };
}

export function addLayernormCase(
  name: string,
  rows: number,
  d: number,
  dropout: number,
  parts: 'both' | 'sum' | 'norm' = 'both',
): Case {
  return {
    op: 'layernorm',
    name: `add: ${name}`,
    inputs: { x: { shape: [rows, d] }, r: { shape: [rows, d] }, weight: { shape: [d] }, bias: { shape: [d] } },
    run: ({ x, r, weight, bias }) => {
      const { sum, norm } = addLayernorm(x, r, weight, bias, { dropout });
      return parts === 'both' ? [sum, norm] : parts === 'sum' ? sum : norm;
    },
    variants: normVariants,
    tolerance,
  };
}

export const normCases: Case[] = [
  ...shapes('0,8 1,4 33,8 65,64 5,260').map(
    ([r, d]): Case => ({
      op: 'rmsnorm',
      name: `[${r},${d}]`,
      inputs: { x: { shape: [r, d] }, weight: { shape: [d] } },
      run: ({ x, weight }) => rmsnorm(x, weight),
    }),
  ),
  plain('1 row of 1', 1, 1),
  plain('3 rows of 5', 3, 5),
  plain('33 rows of 64', 33, 64),
  plain('15 rows of 36, lanes left over', 15, 36),
  plain('17 rows of 128', 17, 128),
  plain('67 rows of 50', 67, 50),
  { ...plain('17 rows of 256', 17, 256), variants: everyVariant },
  plain('5 rows of 1027', 5, 1027),
  plain('5 rows of 1024', 5, 1024),
  { ...plain('no rows', 0, 8), gradients: false },
  plain('rows of one value', 4, 16, () => 3),
  { ...plain('a large mean', 4, 64, (_, normal) => 1000 + normal()), tolerance: { abs: 5e-4, rel: 1e-4 } },
  addLayernormCase('both outputs', 33, 12, 0),
  addLayernormCase('only the sum', 9, 16, 0.2, 'sum'),
  addLayernormCase('only the norm', 9, 16, 0.2, 'norm'),
  addLayernormCase('dropout', 65, 64, 0.3),
  addLayernormCase('dropout, width 7', 30, 7, 0.5),
  addLayernormCase('dropout, width 130', 37, 130, 0.5),
  addLayernormCase('more rows than blocks of 16', 4200, 4, 0.1),
];
// An input that already has a gradient: every gradient is added to, not overwritten.
normCases.push({
  ...addLayernormCase('accumulates', 20, 8, 0.2),
  run: ({ x, r, weight, bias }) => {
    const one = addLayernorm(x, r, weight, bias, { dropout: 0.2 });
    const two = addLayernorm(one.sum, r, weight, bias);
    const three = addLayernorm(x, two.norm, weight, bias);
    return [one.norm, two.sum, three.norm];
  },
});
