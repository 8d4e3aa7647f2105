/** The items of the demo shop, made from the word lists, with the properties that shoppers' behavior depends on. */
import type { Random } from '../random.ts';
import { type Line, type ProductRole, SERIES, THEMES } from './goods.ts';

export interface ShopItem {
  title: string;
  category: string;
  brand: string;
  /** Whole cents. */
  price: number;
  /** Index into THEMES. */
  theme: number;
  role: ProductRole | 'volume';
  /** Price tier: 0 cheap, 1, 2 expensive. */
  tier: number;
  /** How often it is chosen among similar items, 0.5 to 2. */
  appeal: number;
  months: number[];
  /** Rows of the accessories bought after it, the most probable first. */
  accessories: number[];
  /** Row of the next volume of its series, or -1. */
  sequel: number;
  /** First volume of a series: the only one that is bought without the one before it. */
  opens: boolean;
  habit: string;
}

interface Named {
  line: Line;
  tier: number;
  variant: string;
  row: number;
}

const fill = (template: string, values: Record<string, string>) =>
  template.replace(/\{(\w)\}/g, (_, key) => values[key] ?? '');

/** About `wanted` items: below the full range, lines lose their last variants and the last series are left out. */
export function stock(wanted: number, random: Random): ShopItem[] {
  const share = Math.min(1, wanted / fullRange());
  const items: ShopItem[] = [];
  const named: Named[] = [];
  THEMES.forEach((theme, index) => {
    for (const line of theme.lines) {
      const brands = line.brands.length > 0 ? line.brands : theme.brands;
      const words = line.words.length > 0 ? line.words : brands;
      const keep = Math.max(1, Math.round(line.variants.length * words.length * share));
      const all = line.variants.flatMap((variant) => words.map((word, tier) => ({ variant, word, tier })));
      for (const { variant, word, tier } of all.slice(0, keep)) {
        const brand = brands[tier] ?? '';
        const values = { b: brand, w: word, v: variant };
        const [low, high] = line.price;
        named.push({ line, tier, variant, row: items.length });
        items.push({
          title: fill(line.title, values),
          category: line.category,
          brand,
          price: Math.round(low + ((high - low) * (tier + random.next() * 0.8)) / 3) * 100 - (high > 100 ? 0 : 5),
          theme: index,
          role: line.role,
          tier,
          appeal: appeal(random),
          months: line.months,
          accessories: [],
          sequel: -1,
          opens: false,
          habit: fill(line.habit, values),
        });
      }
    }
  });
  for (const main of named) (items[main.row] as ShopItem).accessories = accessoriesOf(main, named);
  for (const series of SERIES.slice(0, Math.max(2, Math.round(SERIES.length * share)))) {
    const tier = random.below(3);
    const liked = appeal(random);
    for (let volume = 1; volume <= series.volumes; volume++) {
      items.push({
        title: `${series.title}, ${series.unit} ${volume}`,
        category: series.category,
        brand: series.brand,
        price: series.price * 100 + 99,
        theme: THEMES.findIndex((theme) => theme.name === series.theme),
        role: 'volume',
        tier,
        appeal: liked,
        months: [],
        accessories: [],
        sequel: volume < series.volumes ? items.length + 1 : -1,
        opens: volume === 1,
        habit: '',
      });
    }
  }
  return items;
}

/** One accessory of each line named in `with`: of the same brand, and of the same size if sizes match. */
function accessoriesOf(main: Named, named: Named[]): number[] {
  return main.line.with.flatMap((category) => {
    const fits = named.filter((one) => one.line.category === category);
    const sized = fits.filter((one) => one.variant === main.variant);
    const sameBrand = (sized.length > 0 ? sized : fits).filter((one) => one.tier === main.tier);
    const pool = [sameBrand, sized, fits].find((some) => some.length > 0) ?? [];
    const choice = pool[main.row % pool.length];
    return choice ? [choice.row] : [];
  });
}

const appeal = (random: Random) => 0.5 + 1.5 * random.next() ** 2;

/** Number of items when nothing is left out. */
function fullRange(): number {
  let count = 0;
  for (const theme of THEMES) {
    for (const line of theme.lines) count += line.variants.length * (line.words.length || 3);
  }
  return SERIES.reduce((sum, series) => sum + series.volumes, count);
}
