/**
 * A simulated shopper of the demo shop: a hidden state, the exact probabilities of the next purchase given that state,
 * and how a purchase changes it. The probabilities are a mixture of
 *
 *   browsing   an item of the current interest and the shopper's price tier that is not owned yet
 *   impulse    any item that is not owned yet, by its appeal
 *   season     what is popular this month
 *   routine    the shopper's own coffee, dog food, ...: more probable the longer ago the last purchase
 *   sequel     the next volume of a series that was started
 *   accessory  an item that belongs to a main item bought a few purchases ago
 */
import type { ShopItem } from './stock.ts';
import { THEMES } from './goods.ts';
import type { Random } from '../random.ts';

const BROWSING = 0.75;
const IMPULSE = 0.05;
const SEASON = 0.12;
const ROUTINE = 0.9;
const SEQUEL = 1;
/** An accessory's weight by the number of purchases since its main item; after the last it is 0. */
const ACCESSORY = [1.3, 1.2, 0.9, 0.6, 0.4];
const INTERESTS = [0.65, 0.25, 0.1];

/** Probability tables shared by all shoppers, each [items] and summing to 1. */
export interface DemandTables {
  items: ShopItem[];
  /** [items] what an item's appeal is multiplied by now, 0 before it is sold; null where nothing changes. */
  fashion: Float64Array | null;
  /** [theme][tier] */
  browsing: Float64Array[][];
  impulse: Float64Array;
  /** [month - 1]; null when nothing is in season. */
  season: (Float64Array | null)[];
  /** Rows of the routine items of each theme. */
  routines: number[][];
  /** Rows of the volumes that continue a series. */
  volumes: number[];
}

const ROLE_SHARE = { main: 1, other: 0.7, extra: 0.15, routine: 0.25, volume: 0.9 };
/** By the distance between the item's price tier and the shopper's. */
const tierShare = (a: number, b: number): number => [1, 0.1, 0.03][Math.abs(a - b)] ?? 0;

/** Days that a fashion lasts, and how many there are. */
const FASHION_DAYS = 60;
const FASHIONS = 18;
/** With a drift of 1: the most that the logarithm of an item's appeal changes by, and the share of items sold later. */
const CHANGE = 1.2;
const LATER = 0.4;

/** The tables of each fashion. @param drift 0: there is one */
export function fashions(items: ShopItem[], drift: number, random: Random): DemandTables[] {
  if (drift === 0) return [demandTables(items, null)];
  const appeal = new Float64Array(items.length);
  const sold = items.map(({ role }) =>
    role !== 'volume' && role !== 'routine' && random.chance(LATER * drift) ? 1 + random.below(FASHIONS - 2) : 0,
  );
  return Array.from({ length: FASHIONS }, (_, n) => {
    const now = appeal.map((log, row) => (n < (sold[row] as number) ? 0 : Math.exp(log)));
    for (const row of appeal.keys()) appeal[row] = (appeal[row] as number) + drift * CHANGE * (2 * random.next() - 1);
    return demandTables(items, now);
  });
}

function demandTables(items: ShopItem[], fashion: Float64Array | null): DemandTables {
  const table = (weight: (item: ShopItem) => number): Float64Array | null => {
    const weights = Float64Array.from(items, (item, row) =>
      item.role === 'volume' && !item.opens ? 0 : item.appeal * (fashion?.[row] ?? 1) * weight(item),
    );
    const total = weights.reduce((sum, w) => sum + w, 0);
    return total > 0 ? weights.map((w) => w / total) : null;
  };
  const impulse = table(() => 1) as Float64Array;
  return {
    items,
    fashion,
    impulse,
    browsing: THEMES.map((_, theme) =>
      [0, 1, 2].map(
        (tier) =>
          table((item) => (item.theme === theme ? ROLE_SHARE[item.role] * tierShare(item.tier, tier) : 0)) ?? impulse,
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
  /** Themes, the main interest first. */
  interests: number[];
  /** The theme that the shopper is currently interested in, one of the interests. */
  focus: number;
  tier: number;
  routines: Routine[] = [];
  /** Accessories wished for, and the number of purchases since their main item. */
  wishes: { row: number; age: number }[] = [];
  /** Next volumes of the series being followed. */
  sequels: number[] = [];
  owned = new Set<number>();
  /** Days since the shop opened on a 1 January. */
  day: number;
  private readonly fashions: readonly DemandTables[];
  private random: Random;

  constructor(fashions: readonly DemandTables[], random: Random) {
    this.fashions = fashions;
    this.random = random;
    this.interests = [];
    while (this.interests.length < 3) this.discover(this.interests.length);
    this.focus = this.interests[0] as number;
    this.tier = random.below(3);
    this.day = random.below(540);
    const { fashion } = this;
    if (random.chance(0.6) && fashion.volumes.length > 0) {
      // Was in the middle of a series when the shop opened.
      const next = draw(fashion.volumes, random);
      this.sequels.push(next);
      for (let row = next - 1; ; row--) {
        this.owned.add(row);
        if (this.item(row).opens) break;
      }
    }
    const wanted = 1 + random.below(2);
    for (let tries = 0; this.routines.length < wanted && tries < 20; tries++) {
      const theme = this.interests[tries] ?? random.below(THEMES.length);
      const rows = fashion.routines[theme] ?? [];
      if (rows.length > 0) this.startRoutine(this.preferred(rows));
    }
  }

  /** What is in fashion on this day. */
  private get fashion(): DemandTables {
    const { fashions, day } = this;
    return fashions[Math.min(fashions.length - 1, Math.floor(day / FASHION_DAYS))] as DemandTables;
  }

  private item(row: number): ShopItem {
    return this.fashion.items[row] as ShopItem;
  }

  /** The month, 0 to 11. */
  get month(): number {
    return Math.floor((this.day % 365) / 30.5);
  }

  /** Writes the probabilities of the next purchase to `out`, [items]; they sum to 1. */
  distribution(out: Float64Array): void {
    const { browsing, impulse, season, fashion } = this.fashion;
    const seasonal = season[this.month];
    const browse = browsing[this.focus]?.[this.tier];
    out.fill(0);
    const add = (row: number, weight: number): void => {
      if (fashion?.[row] !== 0) out[row] = (out[row] as number) + weight;
    };
    // An owned item is not bought again: its probability goes to the other items of the table.
    for (const [table, weight] of [
      [browse, BROWSING],
      [impulse, IMPULSE],
      [seasonal, SEASON],
    ] as const) {
      if (!table) continue;
      let left = 1;
      for (const row of this.owned) left -= table[row] as number;
      if (left < 1e-9) continue;
      for (let row = 0; row < out.length; row++) add(row, (weight / left) * (table[row] as number));
    }
    for (const row of this.owned) out[row] = 0;
    for (const { row, lasts, last } of this.routines) add(row, ROUTINE * urgency((this.day - last) / lasts));
    for (const row of this.sequels) add(row, SEQUEL);
    for (const { row, age } of this.wishes) add(row, ACCESSORY[age] as number);
    let total = 0;
    for (const weight of out) total += weight;
    for (const [row, weight] of out.entries()) out[row] = weight / total;
  }

  /** Updates the state by a purchase of `row`, then lets some days pass and interests drift. */
  buy(row: number): void {
    const { random } = this;
    const item = this.item(row);
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
    else if (item.role === 'routine' && this.routines.length < 3 && random.chance(0.5)) this.startRoutine(row);
    this.drift();
    this.day += 3 + random.below(6);
  }

  /** Interests come and go, a routine changes its brand. */
  private drift(): void {
    const { random, interests } = this;
    if (random.chance(0.1)) this.focus = interests[random.pick(INTERESTS, 1)] as number;
    if (random.chance(0.025)) {
      // A new interest replaces the third, is the focus at once and may become the main one.
      this.discover(2);
      if (random.chance(0.5)) interests.reverse();
      this.focus = interests[random.chance(0.5) ? 0 : 2] as number;
    }
    for (const routine of this.routines) {
      if (!random.chance(0.012)) continue;
      const { category } = this.item(routine.row);
      const rows = this.fashion.items.flatMap((item, row) => (item.category === category ? [row] : []));
      const row = draw(rows, random);
      if (!this.routines.some((one) => one.row === row)) routine.row = row;
    }
  }

  private discover(rank: number): void {
    let theme = this.random.below(THEMES.length);
    while (this.interests.includes(theme)) theme = (theme + 1) % THEMES.length;
    this.interests[rank] = theme;
  }

  private startRoutine(row: number): void {
    const { category } = this.item(row);
    if (this.routines.some((one) => this.item(one.row).category === category)) return;
    const lasts = 18 + this.random.below(25);
    this.routines.push({ row, lasts, last: this.day - this.random.below(lasts) });
  }

  /** One of `rows`, preferably of the shopper's price tier. */
  private preferred(rows: number[]): number {
    const weights = rows.map((row) => {
      const item = this.item(row);
      return item.appeal * tierShare(item.tier, this.tier);
    });
    const total = weights.reduce((sum, w) => sum + w, 0);
    return rows[this.random.pick(weights, total)] as number;
  }
}

const draw = (rows: readonly number[], random: Random): number => rows[random.below(rows.length)] as number;

/** 0 until a pack is a quarter empty, 1 when it is used up, at most 1.4. */
function urgency(used: number): number {
  return Math.max(0, Math.min(1.4, (4 * used - 1) / 3));
}
