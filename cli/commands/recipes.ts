/** `attune recipes`: what can be trained, what it costs and what it reaches. */
import type { RecipesFlags } from './recipes.flags.ts';
import { sizeOf } from '../../engine/index.ts';
import { BLOCKS } from '../../model/encoders/blocks/index.ts';
import { parametersOf } from '../../model/encoders/network.ts';
import { recipes } from '../../model/recipes/recipes.ts';
import { DEFAULTS, type Settings } from '../../model/recipes/settings.ts';
import { Output } from '../common.ts';
import { formatCount, table } from '../output/ui.ts';

/**
 * Multiplications and additions of the encoder for one token of a full window in the forward pass: its matrices, and
 * attention to half of the window where that is causal. Scores over the catalog are extra, 2 · D · items.
 */
function forwardFlops(s: Settings): number {
  const keys = s.direction === 'causal' ? (s.window + 1) / 2 : s.window;
  const matrices = parametersOf(s, 0)
    .declared.filter(({ name, options }) => options.decay && /^(blocks|projection)\./.test(name))
    .reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  return 2 * (matrices + s.blocks * 2 * keys * s.d);
}

/** Settings that matter to a reader: what differs from `sasrec`'s, and sizes. */
function shown(s: Settings): string {
  const always = ['d', 'ff', 'blocks', 'heads', 'dropout', 'window', 'loss'];
  return Object.entries(s)
    .filter(([key]) => !BLOCKS[s.block].ignores?.includes(key as keyof Settings))
    .filter(([key, value]) => always.includes(key) || value !== DEFAULTS[key as keyof Settings])
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');
}

export function runRecipes(flags: RecipesFlags): void {
  const out = new Output(flags.json);
  const base = forwardFlops(DEFAULTS);
  const all = [...recipes.values()].map((recipe) => {
    const flops = forwardFlops(recipe.settings);
    const parameters = parametersOf(recipe.settings, flags.items).count;
    return { ...recipe, items: flags.items, parameters, forwardFlopsPerToken: flops, cost: flops / base };
  });
  out.object({ recipes: all });
  const cells = all.map((r) => {
    const reaches = r.figures?.map((f) => `${f.log} ${f['NDCG@10']} / ${f['HR@10']}`).join(', ') ?? 'not measured yet';
    return [r.name, formatCount(r.parameters), `${r.cost.toFixed(2)}×`, reaches];
  });
  out.line(
    `Parameters for a catalog of ${formatCount(flags.items)} items (--items N); cost is the encoder's arithmetic for a token of a full window, sasrec = 1; metrics are NDCG@10 / HR@10.`,
  );
  out.line(table(['recipe', 'parameters', 'cost', 'reaches'], cells));
  for (const { name, summary, paper, notes, settings } of all) {
    out.line(`\n${name}: ${summary}`);
    out.line(`  ${paper}`);
    out.line(`  ${shown(settings)}`);
    for (const note of notes) out.line(`  Differs: ${note}`);
  }
}
