/** `attune recipes`: what can be trained, what it costs and what it reaches. */
import { parametersOf } from '../../model/encoders/network.ts';
import { type Recipe, recipes, type Settings } from '../../model/recipes/recipes.ts';
import { Output } from '../common.ts';
import { formatCount, table } from '../output/ui.ts';

export interface RecipesFlags {
  items: number;
  json?: boolean;
}

/**
 * Multiplications and additions that the encoder takes for one token of a full window in the forward pass: matrices, and
 * attention to half of the window where that is causal. Scores over the catalogue come on top, 2 · D · items.
 */
function forwardFlops(s: Settings): number {
  const { d, ff, window, blocks } = s;
  const keys = s.direction === 'causal' ? (window + 1) / 2 : window;
  const feed = s.block === 'hstu' ? 0 : d * ff * (s.activation === 'swiglu' ? 3 : 2);
  const gates = s.block === 'transformer' ? 0 : s.block === 'ligr' ? 2 * d * d : d * d;
  const attention = (s.norm === 'query' ? 3 : 4) * d * d + 2 * keys * d;
  const projection = s.projection === 'gelu' ? d * d : 0;
  return 2 * (blocks * (attention + feed + gates) + projection);
}

/** Settings that matter to a reader: what differs from `sasrec`'s, sizes always. */
function told(s: Settings): string {
  const base = (recipes.get('sasrec') as Recipe).settings;
  const always = ['d', 'ff', 'blocks', 'heads', 'dropout', 'window', 'loss'];
  return Object.entries(s)
    .filter(([key]) => key !== 'ff' || s.block !== 'hstu') // which has no feed-forward layers
    .filter(([key, value]) => always.includes(key) || value !== base[key as keyof Settings])
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');
}

export function runRecipes(flags: RecipesFlags): void {
  const out = new Output(flags.json);
  const base = forwardFlops((recipes.get('sasrec') as Recipe).settings);
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
    `Parameters for a catalogue of ${formatCount(flags.items)} items (--items N); cost is the encoder's arithmetic for a token of a full window, sasrec = 1; figures are NDCG@10 / HR@10.`,
  );
  out.line(table(['recipe', 'parameters', 'cost', 'reaches'], cells));
  for (const { name, summary, paper, notes, settings } of all) {
    out.line(`\n${name}: ${summary}`);
    out.line(`  ${paper}`);
    out.line(`  ${told(settings)}`);
    for (const note of notes) out.line(`  Differs: ${note}`);
  }
}
