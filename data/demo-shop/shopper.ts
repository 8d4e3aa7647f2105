/**
 * How one shopper of the demo shop lives: a hidden state, the exact probabilities of the next purchase given that
 * state, and what a purchase does to it. The probabilities are a mixture of
 *
 *   browsing   an item of the present interest, of the shopper's price class, not owned yet
 *   impulse    anything that is not owned yet, by its appeal
 *   season     what everybody wants this month
 *   routine    the shopper's own coffee, dog food, ...: the likelier, the longer since the last time
 *   sequel     the next volume of a series that was begun
 *   accessory  what belongs to a main thing bought a few purchases ago
 */
import type { ShopItem } from './stock.ts';
import { THEMES } from './goods.ts';
import type { Random } from '../random.ts';

const BROWSING = 0.75;
const IMPULSE = 0.05;
const SEASON = 0.12;
const ROUTINE = 0.9;
const SEQUEL = 1;
/** An accessory's weight by the number of purchases since the main thing; then the wish is gone. */
const ACCESSORY = [1.3, 1.2, 0.9, 0.6, 0.4];
const INTERESTS = [0.65, 0.25, 0.1];

/** Tables that all shoppers share, each [items] and summing to 1. */
export interface DemandTables {
  items: ShopItem[];
  /** [theme][tier] what browsing a theme leads to, for a price class. */
  browsing: Float64Array[][];
  impulse: Float64Array;
  /** [month - 1] or null where nothing is in season. */
  season: (Float64Array | null)[];
  /** Rows of the routine items of each theme. */
  routines: number[][];
  /** Rows of the volumes that continue a series. */
  volumes: number[];
}

const ROLE_SHARE = { main: 1, other: 0.7, extra: 0.15, routine: 0.25, volume: 0.9 };
const TIER_SHARE = [1, 0.1, 0.03];

export function demandTables(items: ShopItem[]): DemandTables {
  const table = (weight: (item: ShopItem) => number): Float64Array | null => {
    const weights = Float64Array.from(items, (item) =>
      item.role === 'volume' && !item.opens ? 0 : item.appeal * weight(item),
    );
    const total = weights.reduce((sum, w) => sum + w, 0);
    return total > 0 ? weights.map((w) => w / total) : null;
  };
  const impulse = table(() => 1) as Float64Array;
  return {
    items,
    impulse,
    browsing: THEMES.map((_, theme) =>
      [0, 1, 2].map(
        (tier) =>
          table((item) =>
            item.theme === theme ? ROLE_SHARE[item.role] * TIER_SHARE[Math.abs(item.tier - tier)] : 0,
          ) ?? impulse,
      ),
    ),
    season: Array.from({ length: 12 }, (_, month) => table((item) => (item.months.includes(month + 1) ? 1 : 0))),
    routines: THEMES.map((_, theme) =>
      items.flatMap((item, row) => (item.role === 'routine' && item.theme === theme ? [row] : [])),
    ),
    volumes: items.flatMap((item, row) => (item.role === 'volume' && !item.opens ? [row] : [])),
  };
}

interface Routine {
  row: number;
  /** Days that a pack lasts. */
  lasts: number;
  /** Day of the last purchase. */
  last: number;
}

export class Shopper {
  /** Themes, the first interest first. */
  interests: number[];
  /** What the shopper has in mind now, one of the interests. */
  focus: number;
  tier: number;
  routines: Routine[] = [];
  /** Accessories wished for, and the number of purchases since their main thing. */
  wishes: { row: number; age: number }[] = [];
  /** Next volumes of the series being followed. */
  sequels: number[] = [];
  owned = new Set<number>();
  /** Days since the shop opened on a 1 January. */
  day: number;
  private fashion: DemandTables;
  private random: Random;

  constructor(fashion: DemandTables, random: Random) {
    this.fashion = fashion;
    this.random = random;
    this.interests = [];
    while (this.interests.length < 3) this.discover(this.interests.length);
    this.focus = this.interests[0];
    this.tier = random.below(3);
    this.day = random.below(540);
    if (random.chance(0.6) && fashion.volumes.length > 0) {
      // Was in the middle of a series when the shop opened.
      const next = fashion.volumes[random.below(fashion.volumes.length)];
      this.sequels.push(next);
      for (let row = next - 1; ; row--) {
        this.owned.add(row);
        if (fashion.items[row].opens) break;
      }
    }
    const wanted = 1 + random.below(2);
    for (let tries = 0; this.routines.length < wanted && tries < 20; tries++) {
      const rows = fashion.routines[tries < 3 ? this.interests[tries] : random.below(THEMES.length)];
      if (rows.length > 0) this.begin(this.preferred(rows));
    }
  }

  /** The month, 0 to 11. */
  get month(): number {
    return Math.floor((this.day % 365) / 30.5);
  }

  /** Writes the probabilities of the next purchase to `out`, [items]; they sum to 1. */
  distribution(out: Float64Array): void {
    const { browsing, impulse, season } = this.fashion;
    const seasonal = season[this.month];
    const browse = browsing[this.focus][this.tier];
    out.fill(0);
    // What is owned already is not bought again: its share goes to the rest of its source.
    for (const [table, weight] of [
      [browse, BROWSING],
      [impulse, IMPULSE],
      [seasonal, SEASON],
    ] as const) {
      if (!table) continue;
      let left = 1;
      for (const row of this.owned) left -= table[row];
      if (left < 1e-9) continue;
      for (let row = 0; row < out.length; row++) out[row] += (weight / left) * table[row];
    }
    for (const row of this.owned) out[row] = 0;
    for (const { row, lasts, last } of this.routines) out[row] += ROUTINE * urgency((this.day - last) / lasts);
    for (const row of this.sequels) out[row] += SEQUEL;
    for (const { row, age } of this.wishes) out[row] += ACCESSORY[age];
    let total = 0;
    for (let row = 0; row < out.length; row++) total += out[row];
    for (let row = 0; row < out.length; row++) out[row] /= total;
  }

  /** Takes the purchase of `row` in, then lets some days pass and the mind wander. */
  buy(row: number): void {
    const { random } = this;
    const item = this.fashion.items[row];
    if (item.role !== 'routine') this.owned.add(row);
    this.wishes = this.wishes.filter((wish) => wish.row !== row);
    for (const wish of this.wishes) wish.age++;
    this.wishes = this.wishes.filter((wish) => wish.age < ACCESSORY.length);
    for (const accessory of item.accessories) {
      if (!this.owned.has(accessory) && random.chance(0.8)) this.wishes.push({ row: accessory, age: 0 });
    }
    this.sequels = this.sequels.filter((sequel) => sequel !== row);
    if (item.sequel >= 0 && random.chance(0.92)) this.sequels.push(item.sequel);
    const routine = this.routines.find((one) => one.row === row);
    if (routine) routine.last = this.day;
    else if (item.role === 'routine' && this.routines.length < 3 && random.chance(0.5)) this.begin(row);
    this.wander();
    this.day += 3 + random.below(6);
  }

  /** Interests come and go, tastes drift, a favourite brand is given up. */
  private wander(): void {
    const { random, interests } = this;
    if (random.chance(0.1)) this.focus = interests[random.pick(INTERESTS, 1)];
    if (random.chance(0.025)) {
      // The third interest gives way to a new one, which is tried at once and may grow to be the first.
      this.discover(2);
      if (random.chance(0.5)) [interests[0], interests[2]] = [interests[2], interests[0]];
      this.focus = interests[random.chance(0.5) ? 0 : 2];
    }
    for (const routine of this.routines) {
      if (!random.chance(0.012)) continue;
      const { category } = this.fashion.items[routine.row];
      const rows = this.fashion.items.flatMap((item, row) => (item.category === category ? [row] : []));
      const row = rows[random.below(rows.length)];
      if (!this.routines.some((one) => one.row === row)) routine.row = row;
    }
  }

  private discover(place: number): void {
    let theme = this.random.below(THEMES.length);
    while (this.interests.includes(theme)) theme = (theme + 1) % THEMES.length;
    this.interests[place] = theme;
  }

  private begin(row: number): void {
    if (this.routines.some((one) => this.fashion.items[one.row].category === this.fashion.items[row].category)) return;
    const lasts = 18 + this.random.below(25);
    this.routines.push({ row, lasts, last: this.day - this.random.below(lasts) });
  }

  /** One of `rows`, rather of the shopper's price class. */
  private preferred(rows: number[]): number {
    const weights = rows.map((row) => {
      const item = this.fashion.items[row];
      return item.appeal * TIER_SHARE[Math.abs(item.tier - this.tier)];
    });
    return rows[
      this.random.pick(
        weights,
        weights.reduce((sum, w) => sum + w, 0),
      )
    ];
  }
}

/** 0 until a pack is a quarter empty, 1 when it is used up, at most 1.4. */
function urgency(used: number): number {
  return Math.max(0, Math.min(1.4, (4 * used - 1) / 3));
}
