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
  /** One for each brand; none: every brand sells it. */
  words: string[];
  variants: string[];
  /** The line's own brands; none: the theme's. */
  brands: string[];
  /** Lowest and highest price. */
  price: [number, number];
  /** Categories of the accessories bought after it. */
  with: string[];
  /** Months (1 to 12) in which it is popular. */
  months: number[];
  /** Describes a shopper who keeps buying it; empty if nobody does. */
  habit: string;
}

interface Theme {
  name: string;
  /** Describes a shopper whose main interest it is. */
  who: string;
  brands: string[];
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

const list = (text = ''): string[] => (text === '' ? [] : text.split(', '));

/** Lines as a table: category | role | title | words | variants | lowest to highest price | what only some have. */
const table = (rows: string): Line[] =>
  rows
    .trim()
    .split('\n')
    .map((row) => {
      const [category, role, title, words, variants, price, ...rest] = row.split('|').map((cell) => cell.trim());
      const more = new Map(rest.map((cell) => cell.split(': ') as [string, string]));
      return {
        category,
        role,
        title,
        words: list(words),
        variants: list(variants),
        price: price?.split(' to ').map(Number),
        brands: list(more.get('brands')),
        with: list(more.get('with')),
        months: list(more.get('months')).map(Number),
        habit: more.get('habit') ?? '',
      } as Line;
    });

export const THEMES: Theme[] = [
  {
    name: 'hiking',
    who: 'a hiker',
    brands: list('Alder & Pine, Norrsken, Kestrel Alpine'),
    lines: table(`
      Backpacks | main | {b} {w} {v} backpack | Trailhead, Ridgeline, Cairn | 25 L, 45 L, 60 L | 39 to 190 | with: Rain covers, Water bottles
      Tents | main | {b} {w} {v} tent | Larch, Tarn, Summit | 1-person, 2-person, 4-person | 89 to 480 | with: Groundsheets, Camping stoves
      Hiking boots | other | {b} {w} {v} boots | Moor, Scree, Col | mid, high | 69 to 260
      Rain covers | extra | {b} rain cover for {v} packs | | 25 L, 45 L, 60 L | 12 to 35
      Water bottles | extra | {b} {w} {v} bottle | Brook, Rill, Spring | 0.5 L, 1 L | 9 to 38
      Groundsheets | extra | {b} {v} groundsheet | | 1-person, 2-person, 4-person | 15 to 60
      Camping stoves | extra | {b} {w} {v} stove | Glow, Spark, Blaze | gas | 25 to 110
    `),
  },
  {
    name: 'running',
    who: 'a runner',
    brands: list('Stride, Velora, Harrow'),
    lines: table(`
      Running shoes | main | {b} {w} {v} shoes | Tempo, Meridian, Fleet | road, trail, race | 59 to 210 | with: Running socks, Running belts
      GPS watches | main | {b} {w} GPS watch, {v} | Pace, Orbit, Apex | 42 mm, 46 mm | 99 to 490 | with: Watch straps, Heart-rate sensors
      Running tops | other | {b} {w} {v} | Breeze, Dawn, Swift | running tee, running vest, running jacket | 19 to 130
      Running socks | extra | {b} {v} running socks | | ankle, crew, compression | 6 to 28
      Running belts | extra | {b} {v} running belt | | slim, bottle | 12 to 40
      Watch straps | extra | {b} watch strap, {v} | | 42 mm, 46 mm | 9 to 35
      Heart-rate sensors | extra | {b} {v} heart-rate sensor | | chest | 35 to 90
    `),
  },
  {
    name: 'cycling',
    who: 'a cyclist',
    brands: list('Rook, Veloce Nord, Marchetti'),
    lines: table(`
      Bikes | main | {b} {w} {v} bike | Courier, Fell, Stelvio | city, gravel, road | 390 to 3200 | with: Bike lights, Bike locks
      Bike helmets | other | {b} {w} helmet, {v} | Shell, Halo, Vento | medium, large | 29 to 190
      Cycling clothing | other | {b} {w} {v} | Spoke, Tailwind, Gregario | jersey, bib shorts, gloves | 25 to 160
      Bike lights | extra | {b} {v} light | | handlebar, gravel, road | 15 to 75
      Bike locks | extra | {b} {v} lock | | folding, chain | 19 to 95
    `),
  },
  {
    name: 'photography',
    who: 'a photographer',
    brands: list('Ostra, Lumen, Halvorsen'),
    lines: table(`
      Cameras | main | {b} {w} {v} camera | Scout, Prism, Aria | compact, mirrorless | 290 to 2900 | with: Memory cards, Camera batteries
      Lenses | main | {b} {w} {v} lens | Clara, Vista, Sonnet | 35 mm, 50 mm, 85 mm | 180 to 1800 | with: Lens filters, Camera bags
      Tripods | other | {b} {w} {v} tripod | Stork, Heron, Crane | travel, studio | 35 to 380
      Memory cards | extra | {b} {v} memory card | | 64 GB, 128 GB | 12 to 70
      Camera batteries | extra | {b} battery for {v} cameras | | compact, mirrorless | 25 to 85
      Lens filters | extra | {b} polarising filter for {v} lenses | | 35 mm, 50 mm, 85 mm | 19 to 110
      Camera bags | extra | {b} {v} camera bag | | sling | 39 to 190
    `),
  },
  {
    name: 'coffee',
    who: 'a coffee lover',
    brands: list('Copper Kettle, Bellini, Moreno'),
    lines: table(`
      Espresso machines | main | {b} {w} {v} espresso machine | Piccola, Duetto, Maestra | manual, automatic | 150 to 1500 | with: Barista tools, Coffee cups
      Coffee grinders | main | {b} {w} {v} coffee grinder | Mola, Conica, Forte | hand, electric | 35 to 420 | with: Coffee storage
      Coffee beans | routine | {b} {w} {v} beans, 1 kg | Harbour, Sunrise, Night Shift | espresso, filter, decaf | 12 to 34 | brands: Dockside Roasters, Loam & Leaf, Alto Verde | habit: drinks {v} coffee
      Barista tools | extra | {b} {v} | | tamper, milk jug | 12 to 60
      Coffee cups | extra | {b} {v} cups, set of 4 | | espresso, cappuccino | 14 to 58
      Coffee storage | extra | {b} coffee tin, {v} | | 250 g, 500 g | 9 to 40
    `),
  },
  {
    name: 'pets',
    who: 'a pet lover',
    brands: list('Bramble, Wagtail, Maison Minou'),
    lines: table(`
      Dog food | routine | {b} {w} {v} dog food, 12 kg | Meadow, Forest, Prairie | puppy, adult, grain-free | 24 to 80 | habit: feeds a dog
      Cat food | routine | {b} {w} {v} cat food, 4 kg | Hearthside, Whisker, Velvet | salmon, chicken | 14 to 45 | habit: feeds a cat
      Dog harnesses | main | {b} {w} dog harness, {v} | Scamp, Ranger, Noble | small, medium, large | 15 to 70 | with: Dog leads, Pet tags
      Pet beds | other | {b} {w} {v} bed | Nook, Drowse, Chaise | cat, dog | 22 to 150
      Pet toys | other | {b} {v} | | rope toy, squeaky duck, feather wand | 4 to 25
      Dog leads | extra | {b} dog lead, {v} | | 1 m, 2 m | 9 to 45
      Pet tags | extra | {b} {v} name tag | | brass | 6 to 22
    `),
  },
  {
    name: 'cooking',
    who: 'a keen cook',
    brands: list('Hearth, Sten, Beaumont'),
    lines: table(`
      Pans | main | {b} {w} pan, {v} | Ember, Forge, Atelier | 20 cm, 24 cm, 28 cm | 19 to 210 | with: Pan lids, Spatulas
      Knives | main | {b} {w} {v} knife | Keen, Skarp, Lame | paring, bread, chef's | 12 to 190 | with: Sharpeners, Cutting boards
      Baking | other | {b} {v} | | loaf tin, baking sheet, pie dish | 8 to 60
      Olive oil | routine | {b} {v} olive oil, 3 L | | mild, extra virgin | 22 to 60 | brands: Finca Alba, Podere Sasso, Thera | habit: cooks with olive oil
      Pan lids | extra | {b} glass lid, {v} | | 20 cm, 24 cm, 28 cm | 8 to 40
      Spatulas | extra | {b} {v} spatula | | beech | 4 to 18
      Sharpeners | extra | {b} {v} | | whetstone, honing rod | 15 to 80
      Cutting boards | extra | {b} {v} cutting board | | oak | 16 to 75
    `),
  },
  {
    name: 'home',
    who: 'someone with a tidy home',
    brands: list('Plainly, Brightwell, Maren'),
    lines: table(`
      Laundry | routine | {b} {v} laundry detergent | | colour, sensitive, wool | 7 to 22 | habit: restocks {v} detergent
      Dishwasher tablets | routine | {b} dishwasher tablets, {v} | | pack of 40, pack of 80 | 8 to 26 | habit: runs a dishwasher
      Storage boxes | other | {b} {w} storage box, {v} | Stack, Nest, Archive | 10 L, 30 L, 60 L | 7 to 60
      Candles | other | {b} {v} candle | | cedar, fig, linen | 6 to 45
      Bed linen | other | {b} {w} {v} sheets | Daily, Calm, Reverie | cotton, flannel | 25 to 190
    `),
  },
  {
    name: 'gaming',
    who: 'a gamer',
    brands: list('Nova, Arcadia, Vanta'),
    lines: table(`
      Consoles | main | {b} {w} console, {v} | Pulse, Quest, Titan | 512 GB, 1 TB | 190 to 620 | with: Controllers, Headsets
      Board games | other | {b} {w}: {v} | Harvest Moonlight, Tide & Tower, Cartographers | the board game, the expansion | 18 to 80 | brands: Oak Table, Meeple House, Grand Atlas
      Controllers | extra | {b} {v} controller | | white, black | 35 to 150
      Headsets | extra | {b} {v} headset | | wired, wireless | 25 to 240
    `),
  },
  {
    name: 'music',
    who: 'a guitarist',
    brands: list('Cedarwood, Ashdown Bros, Delmar'),
    lines: table(`
      Guitars | main | {b} {w} {v} guitar | Wren, Nightjar, Kite | acoustic, electric, classical | 120 to 1900 | with: Guitar strings, Guitar cases
      Effect pedals | other | {b} {w} {v} pedal | Comet, Undertow, Aurora | delay, reverb, overdrive | 45 to 280
      Guitar strings | extra | {b} strings for {v} guitar | | acoustic, electric, classical | 6 to 25
      Guitar cases | extra | {b} {v} guitar case | | soft, hard | 25 to 180
    `),
  },
  {
    name: 'garden',
    who: 'a gardener',
    brands: list('Thistle & Co, Greenhand, Wisteria Lane'),
    lines: table(`
      Seeds | other | {b} {v} seeds | | tomato, basil, sunflower, runner bean | 2 to 8 | months: 3, 4, 5
      Garden tools | other | {b} {w} {v} | Sod, Furrow, Heritage | trowel, secateurs, rake | 9 to 75 | months: 3, 4, 5
      Barbecues | main | {b} {w} {v} barbecue | Patio, Ember Bay, Sultan | charcoal, gas | 59 to 700 | with: Barbecue tools, Barbecue covers | months: 6, 7, 8
      Barbecue tools | extra | {b} barbecue {v} | | tongs, brush | 9 to 38
      Barbecue covers | extra | {b} cover for {v} barbecues | | charcoal, gas | 15 to 60
    `),
  },
  {
    name: 'winter',
    who: 'a skier',
    brands: list('Frostline, Skaldi, Monte Rosa'),
    lines: table(`
      Skis | main | {b} {w} {v} skis | Drift, Fjell, Couloir | piste, touring | 190 to 950 | with: Ski goggles, Ski wax | months: 11, 12, 1, 2
      Wool layers | other | {b} merino {v} | | base layer, beanie, mittens | 19 to 120 | months: 11, 12, 1, 2
      Sledges | other | {b} {w} sledge | Bobbin, Rune, Cresta | classic | 25 to 120 | months: 12, 1, 2
      Ski goggles | extra | {b} {v} goggles | | piste, touring | 29 to 170
      Ski wax | extra | {b} {v} ski wax | | cold, universal | 8 to 28
    `),
  },
  {
    name: 'seaside',
    who: 'a swimmer',
    brands: list('Pebble, Salt & Sun, Riviera'),
    lines: table(`
      Snorkelling | main | {b} {w} snorkel set, {v} | Cove, Reef, Lagoon | small, large | 19 to 95 | with: Swim fins, Dry bags | months: 6, 7, 8
      Sun cream | other | {b} sun cream, {v} | | SPF 30, SPF 50 | 7 to 28 | months: 6, 7, 8
      Beach towels | other | {b} {v} beach towel | | striped, indigo | 12 to 55 | months: 6, 7, 8
      Swimwear | other | {b} {v} | | swim shorts, swimsuit | 15 to 90 | months: 6, 7, 8
      Swim fins | extra | {b} fins, {v} | | small, large | 19 to 75
      Dry bags | extra | {b} dry bag, {v} | | 10 L, 20 L | 11 to 45
    `),
  },
  {
    name: 'reading',
    who: 'a reader',
    brands: list('Inkwell, Folio North, Quire'),
    lines: table(`
      Book lights | other | {b} {v} book light | | clip-on, bedside | 9 to 45
      Notebooks | other | {b} {v} notebook | | ruled, dotted | 5 to 26
    `),
  },
];

const series =
  (theme: string, category: string, unit: string, price: number) =>
  (title: string, brand: string, volumes: number): Series => ({ theme, category, title, brand, unit, volumes, price });
const book = series('reading', 'Books', 'book', 12);
const game = series('gaming', 'Video games', 'part', 49);

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
