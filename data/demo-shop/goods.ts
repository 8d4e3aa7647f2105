/**
 * What the demo shop sells, as word lists; `stock` (data/demo-shop/stock.ts) makes the items of them.
 *
 * A line is one kind of product. Its title is a template: {b} the brand, {w} a model word, {v} a variant; the n-th word
 * belongs to the n-th brand, a template without {w} is sold by every brand. A theme's brands go from cheap to expensive.
 * Every name is made up.
 */

/** main: accessories are bought after it; extra: an accessory; routine: bought again and again; other: the rest. */
export type ProductRole = 'main' | 'extra' | 'routine' | 'other';

export interface Line {
  category: string;
  role: ProductRole;
  title: string;
  words?: string;
  variants: string;
  /** The line's own brands instead of the theme's. */
  brands?: string;
  /** Lowest and highest price. */
  price: [number, number];
  /** Categories of the accessories bought after it. */
  with?: string[];
  /** Months (1 to 12) in which it is popular. */
  months?: number[];
  /** Describes a shopper who keeps buying it. */
  habit?: string;
}

interface Theme {
  name: string;
  /** Describes a shopper whose main interest it is. */
  who: string;
  brands: string;
  lines: Line[];
}

/** Books and games that continue: number n + 1 is bought after number n. */
interface Series {
  theme: string;
  category: string;
  title: string;
  brand: string;
  /** What a volume is called: "book", "part". */
  unit: string;
  volumes: number;
  price: number;
}

const line = (
  category: string,
  role: ProductRole,
  title: string,
  words: string,
  variants: string,
  low: number,
  high: number,
  more: Partial<Line> = {},
): Line => ({ category, role, title, words, variants, price: [low, high], ...more });

const SPRING = [3, 4, 5];
const SUMMER = [6, 7, 8];
const WINTER = [11, 12, 1, 2];

export const THEMES: Theme[] = [
  {
    name: 'hiking',
    who: 'a hiker',
    brands: 'Alder & Pine, Norrsken, Kestrel Alpine',
    lines: [
      line('Backpacks', 'main', '{b} {w} {v} backpack', 'Trailhead, Ridgeline, Cairn', '25 L, 45 L, 60 L', 39, 190, {
        with: ['Rain covers', 'Water bottles'],
      }),
      line('Tents', 'main', '{b} {w} {v} tent', 'Larch, Tarn, Summit', '1-person, 2-person, 4-person', 89, 480, {
        with: ['Groundsheets', 'Camping stoves'],
      }),
      line('Hiking boots', 'other', '{b} {w} {v} boots', 'Moor, Scree, Col', 'mid, high', 69, 260),
      line('Rain covers', 'extra', '{b} rain cover for {v} packs', '', '25 L, 45 L, 60 L', 12, 35),
      line('Water bottles', 'extra', '{b} {w} {v} bottle', 'Brook, Rill, Spring', '0.5 L, 1 L', 9, 38),
      line('Groundsheets', 'extra', '{b} {v} groundsheet', '', '1-person, 2-person, 4-person', 15, 60),
      line('Camping stoves', 'extra', '{b} {w} {v} stove', 'Glow, Spark, Blaze', 'gas', 25, 110),
    ],
  },
  {
    name: 'running',
    who: 'a runner',
    brands: 'Stride, Velora, Harrow',
    lines: [
      line('Running shoes', 'main', '{b} {w} {v} shoes', 'Tempo, Meridian, Fleet', 'road, trail, race', 59, 210, {
        with: ['Running socks', 'Running belts'],
      }),
      line('GPS watches', 'main', '{b} {w} GPS watch, {v}', 'Pace, Orbit, Apex', '42 mm, 46 mm', 99, 490, {
        with: ['Watch straps', 'Heart-rate sensors'],
      }),
      line(
        'Running tops',
        'other',
        '{b} {w} {v}',
        'Breeze, Dawn, Swift',
        'running tee, running vest, running jacket',
        19,
        130,
      ),
      line('Running socks', 'extra', '{b} {v} running socks', '', 'ankle, crew, compression', 6, 28),
      line('Running belts', 'extra', '{b} {v} running belt', '', 'slim, bottle', 12, 40),
      line('Watch straps', 'extra', '{b} watch strap, {v}', '', '42 mm, 46 mm', 9, 35),
      line('Heart-rate sensors', 'extra', '{b} {v} heart-rate sensor', '', 'chest', 35, 90),
    ],
  },
  {
    name: 'cycling',
    who: 'a cyclist',
    brands: 'Rook, Veloce Nord, Marchetti',
    lines: [
      line('Bikes', 'main', '{b} {w} {v} bike', 'Courier, Fell, Stelvio', 'city, gravel, road', 390, 3200, {
        with: ['Bike lights', 'Bike locks'],
      }),
      line('Bike helmets', 'other', '{b} {w} helmet, {v}', 'Shell, Halo, Vento', 'medium, large', 29, 190),
      line(
        'Cycling clothing',
        'other',
        '{b} {w} {v}',
        'Spoke, Tailwind, Gregario',
        'jersey, bib shorts, gloves',
        25,
        160,
      ),
      line('Bike lights', 'extra', '{b} {v} light', '', 'handlebar, gravel, road', 15, 75),
      line('Bike locks', 'extra', '{b} {v} lock', '', 'folding, chain', 19, 95),
    ],
  },
  {
    name: 'photography',
    who: 'a photographer',
    brands: 'Ostra, Lumen, Halvorsen',
    lines: [
      line('Cameras', 'main', '{b} {w} {v} camera', 'Scout, Prism, Aria', 'compact, mirrorless', 290, 2900, {
        with: ['Memory cards', 'Camera batteries'],
      }),
      line('Lenses', 'main', '{b} {w} {v} lens', 'Clara, Vista, Sonnet', '35 mm, 50 mm, 85 mm', 180, 1800, {
        with: ['Lens filters', 'Camera bags'],
      }),
      line('Tripods', 'other', '{b} {w} {v} tripod', 'Stork, Heron, Crane', 'travel, studio', 35, 380),
      line('Memory cards', 'extra', '{b} {v} memory card', '', '64 GB, 128 GB', 12, 70),
      line('Camera batteries', 'extra', '{b} battery for {v} cameras', '', 'compact, mirrorless', 25, 85),
      line('Lens filters', 'extra', '{b} polarising filter for {v} lenses', '', '35 mm, 50 mm, 85 mm', 19, 110),
      line('Camera bags', 'extra', '{b} {v} camera bag', '', 'sling', 39, 190),
    ],
  },
  {
    name: 'coffee',
    who: 'a coffee lover',
    brands: 'Copper Kettle, Bellini, Moreno',
    lines: [
      line(
        'Espresso machines',
        'main',
        '{b} {w} {v} espresso machine',
        'Piccola, Duetto, Maestra',
        'manual, automatic',
        150,
        1500,
        { with: ['Barista tools', 'Coffee cups'] },
      ),
      line('Coffee grinders', 'main', '{b} {w} {v} coffee grinder', 'Mola, Conica, Forte', 'hand, electric', 35, 420, {
        with: ['Coffee storage'],
      }),
      line(
        'Coffee beans',
        'routine',
        '{b} {w} {v} beans, 1 kg',
        'Harbour, Sunrise, Night Shift',
        'espresso, filter, decaf',
        12,
        34,
        { brands: 'Dockside Roasters, Loam & Leaf, Alto Verde', habit: 'drinks {v} coffee' },
      ),
      line('Barista tools', 'extra', '{b} {v}', '', 'tamper, milk jug', 12, 60),
      line('Coffee cups', 'extra', '{b} {v} cups, set of 4', '', 'espresso, cappuccino', 14, 58),
      line('Coffee storage', 'extra', '{b} coffee tin, {v}', '', '250 g, 500 g', 9, 40),
    ],
  },
  {
    name: 'pets',
    who: 'a pet lover',
    brands: 'Bramble, Wagtail, Maison Minou',
    lines: [
      line(
        'Dog food',
        'routine',
        '{b} {w} {v} dog food, 12 kg',
        'Meadow, Forest, Prairie',
        'puppy, adult, grain-free',
        24,
        80,
        { habit: 'feeds a dog' },
      ),
      line(
        'Cat food',
        'routine',
        '{b} {w} {v} cat food, 4 kg',
        'Hearthside, Whisker, Velvet',
        'salmon, chicken',
        14,
        45,
        { habit: 'feeds a cat' },
      ),
      line(
        'Dog harnesses',
        'main',
        '{b} {w} dog harness, {v}',
        'Scamp, Ranger, Noble',
        'small, medium, large',
        15,
        70,
        { with: ['Dog leads', 'Pet tags'] },
      ),
      line('Pet beds', 'other', '{b} {w} {v} bed', 'Nook, Drowse, Chaise', 'cat, dog', 22, 150),
      line('Pet toys', 'other', '{b} {v}', '', 'rope toy, squeaky duck, feather wand', 4, 25),
      line('Dog leads', 'extra', '{b} dog lead, {v}', '', '1 m, 2 m', 9, 45),
      line('Pet tags', 'extra', '{b} {v} name tag', '', 'brass', 6, 22),
    ],
  },
  {
    name: 'cooking',
    who: 'a keen cook',
    brands: 'Hearth, Sten, Beaumont',
    lines: [
      line('Pans', 'main', '{b} {w} pan, {v}', 'Ember, Forge, Atelier', '20 cm, 24 cm, 28 cm', 19, 210, {
        with: ['Pan lids', 'Spatulas'],
      }),
      line('Knives', 'main', '{b} {w} {v} knife', 'Keen, Skarp, Lame', "paring, bread, chef's", 12, 190, {
        with: ['Sharpeners', 'Cutting boards'],
      }),
      line('Baking', 'other', '{b} {v}', '', 'loaf tin, baking sheet, pie dish', 8, 60),
      line('Olive oil', 'routine', '{b} {v} olive oil, 3 L', '', 'mild, extra virgin', 22, 60, {
        brands: 'Finca Alba, Podere Sasso, Thera',
        habit: 'cooks with olive oil',
      }),
      line('Pan lids', 'extra', '{b} glass lid, {v}', '', '20 cm, 24 cm, 28 cm', 8, 40),
      line('Spatulas', 'extra', '{b} {v} spatula', '', 'beech', 4, 18),
      line('Sharpeners', 'extra', '{b} {v}', '', 'whetstone, honing rod', 15, 80),
      line('Cutting boards', 'extra', '{b} {v} cutting board', '', 'oak', 16, 75),
    ],
  },
  {
    name: 'home',
    who: 'someone with a tidy home',
    brands: 'Plainly, Brightwell, Maren',
    lines: [
      line('Laundry', 'routine', '{b} {v} laundry detergent', '', 'colour, sensitive, wool', 7, 22, {
        habit: 'restocks {v} detergent',
      }),
      line('Dishwasher tablets', 'routine', '{b} dishwasher tablets, {v}', '', 'pack of 40, pack of 80', 8, 26, {
        habit: 'runs a dishwasher',
      }),
      line('Storage boxes', 'other', '{b} {w} storage box, {v}', 'Stack, Nest, Archive', '10 L, 30 L, 60 L', 7, 60),
      line('Candles', 'other', '{b} {v} candle', '', 'cedar, fig, linen', 6, 45),
      line('Bed linen', 'other', '{b} {w} {v} sheets', 'Daily, Calm, Reverie', 'cotton, flannel', 25, 190),
    ],
  },
  {
    name: 'gaming',
    who: 'a gamer',
    brands: 'Nova, Arcadia, Vanta',
    lines: [
      line('Consoles', 'main', '{b} {w} console, {v}', 'Pulse, Quest, Titan', '512 GB, 1 TB', 190, 620, {
        with: ['Controllers', 'Headsets'],
      }),
      line(
        'Board games',
        'other',
        '{b} {w}: {v}',
        'Harvest Moonlight, Tide & Tower, Cartographers',
        'the board game, the expansion',
        18,
        80,
        { brands: 'Oak Table, Meeple House, Grand Atlas' },
      ),
      line('Controllers', 'extra', '{b} {v} controller', '', 'white, black', 35, 150),
      line('Headsets', 'extra', '{b} {v} headset', '', 'wired, wireless', 25, 240),
    ],
  },
  {
    name: 'music',
    who: 'a guitarist',
    brands: 'Cedarwood, Ashdown Bros, Delmar',
    lines: [
      line(
        'Guitars',
        'main',
        '{b} {w} {v} guitar',
        'Wren, Nightjar, Kite',
        'acoustic, electric, classical',
        120,
        1900,
        { with: ['Guitar strings', 'Guitar cases'] },
      ),
      line(
        'Effect pedals',
        'other',
        '{b} {w} {v} pedal',
        'Comet, Undertow, Aurora',
        'delay, reverb, overdrive',
        45,
        280,
      ),
      line('Guitar strings', 'extra', '{b} strings for {v} guitar', '', 'acoustic, electric, classical', 6, 25),
      line('Guitar cases', 'extra', '{b} {v} guitar case', '', 'soft, hard', 25, 180),
    ],
  },
  {
    name: 'garden',
    who: 'a gardener',
    brands: 'Thistle & Co, Greenhand, Wisteria Lane',
    lines: [
      line('Seeds', 'other', '{b} {v} seeds', '', 'tomato, basil, sunflower, runner bean', 2, 8, { months: SPRING }),
      line('Garden tools', 'other', '{b} {w} {v}', 'Sod, Furrow, Heritage', 'trowel, secateurs, rake', 9, 75, {
        months: SPRING,
      }),
      line('Barbecues', 'main', '{b} {w} {v} barbecue', 'Patio, Ember Bay, Sultan', 'charcoal, gas', 59, 700, {
        with: ['Barbecue tools', 'Barbecue covers'],
        months: SUMMER,
      }),
      line('Barbecue tools', 'extra', '{b} barbecue {v}', '', 'tongs, brush', 9, 38),
      line('Barbecue covers', 'extra', '{b} cover for {v} barbecues', '', 'charcoal, gas', 15, 60),
    ],
  },
  {
    name: 'winter',
    who: 'a skier',
    brands: 'Frostline, Skaldi, Monte Rosa',
    lines: [
      line('Skis', 'main', '{b} {w} {v} skis', 'Drift, Fjell, Couloir', 'piste, touring', 190, 950, {
        with: ['Ski goggles', 'Ski wax'],
        months: WINTER,
      }),
      line('Wool layers', 'other', '{b} merino {v}', '', 'base layer, beanie, mittens', 19, 120, { months: WINTER }),
      line('Sledges', 'other', '{b} {w} sledge', 'Bobbin, Rune, Cresta', 'classic', 25, 120, { months: [12, 1, 2] }),
      line('Ski goggles', 'extra', '{b} {v} goggles', '', 'piste, touring', 29, 170),
      line('Ski wax', 'extra', '{b} {v} ski wax', '', 'cold, universal', 8, 28),
    ],
  },
  {
    name: 'seaside',
    who: 'a swimmer',
    brands: 'Pebble, Salt & Sun, Riviera',
    lines: [
      line('Snorkelling', 'main', '{b} {w} snorkel set, {v}', 'Cove, Reef, Lagoon', 'small, large', 19, 95, {
        with: ['Swim fins', 'Dry bags'],
        months: SUMMER,
      }),
      line('Sun cream', 'other', '{b} sun cream, {v}', '', 'SPF 30, SPF 50', 7, 28, { months: SUMMER }),
      line('Beach towels', 'other', '{b} {v} beach towel', '', 'striped, indigo', 12, 55, { months: SUMMER }),
      line('Swimwear', 'other', '{b} {v}', '', 'swim shorts, swimsuit', 15, 90, { months: SUMMER }),
      line('Swim fins', 'extra', '{b} fins, {v}', '', 'small, large', 19, 75),
      line('Dry bags', 'extra', '{b} dry bag, {v}', '', '10 L, 20 L', 11, 45),
    ],
  },
  {
    name: 'reading',
    who: 'a reader',
    brands: 'Inkwell, Folio North, Quire',
    lines: [
      line('Book lights', 'other', '{b} {v} book light', '', 'clip-on, bedside', 9, 45),
      line('Notebooks', 'other', '{b} {v} notebook', '', 'ruled, dotted', 5, 26),
    ],
  },
];

const book = (title: string, brand: string, volumes: number): Series => ({
  theme: 'reading',
  category: 'Books',
  title,
  brand,
  unit: 'book',
  volumes,
  price: 12,
});
const game = (title: string, brand: string, volumes: number): Series => ({
  theme: 'gaming',
  category: 'Video games',
  title,
  brand,
  unit: 'part',
  volumes,
  price: 49,
});

export const SERIES: Series[] = [
  book('The Salt Road', 'Ines Halloran', 6),
  game('Ironvale', 'Lantern Forge', 5),
  book('Inspector Brandt Investigates', 'Jonas Weil', 7),
  book('The Lantern Keepers', 'Maud Okafor', 5),
  game('Starfall Drift', 'Blue Kite', 4),
  book('Orbit of Ash', 'T. R. Vance', 6),
  book('A Village in Provence', 'Colette Marin', 5),
  book('The Clockmaker’s Daughters', 'Edith Thorne', 6),
  game('Hollow Kingdom', 'Pale Harbour', 4),
  book('Wolves of the North Sea', 'Aksel Dahl', 7),
];
