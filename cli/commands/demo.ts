/** `attune demo`, what `npm start` runs: the built-in shop from purchases to recommendations. */
import type { DemoFlags } from './demo.flags.ts';
import { existsSync } from 'node:fs';
import { InputError } from '../../data/errors.ts';
import { ownValue } from '../../data/own-value.ts';
import { makeShop, type Shop, type ShopOptions } from '../../data/demo-shop/shop.ts';
import { atOnce } from '../../data/pieces.ts';
import type { Split } from '../../data/splits/split.ts';
import type { Device } from '../../engine/index.ts';
import { writeModelCard } from '../../model/storage/card.ts';
import { RankingModel } from '../../model/inference/ranking-model.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { lockFolder } from '../../recommend/sources/lock.node.ts';
import { Recommender } from '../../recommend/recommender.ts';
import type { Recommendation } from '../../recommend/types.ts';
import { evaluate } from '../../train/evaluation/evaluate.ts';
import type { Metrics } from '../../train/evaluation/metrics.ts';
import { commandName, openDevice, Output } from '../common.ts';
import { InterruptedError } from '../errors.ts';
import { baselineMetrics, METRIC_COLUMNS } from '../output/metrics.ts';
import { csvLine, logCsv } from '../output/log-csv.ts';
import { metricsTable, formatCount, formatDuration, lossPlot, printable } from '../output/ui.ts';
import type { Files } from '../../model/storage/files.ts';
import { type Item, loadConfig } from '../../model/storage/config.ts';
import { holdsConfig } from '../../model/storage/folder.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { planTraining } from '../../train/plan.ts';
import type { TrainedModel } from '../../train/run-plan.ts';
import { trainWithProgress } from '../training.ts';

const FOLDER = 'attune-demo';
const SOURCE = 'the demo shop';
/** Files in the model's folder, in the formats that `attune train` reads. */
const LOG = 'purchases.csv';
const GOODS = 'goods.csv';
/**
 * The recipe fitted to the shop: no shopper buys more than 60 times, and small batches with a higher learning rate make
 * the most of a minute or two; the heads keep apart what was bought last, what comes back and what is bought together.
 */
const GPU_SETTINGS = {
  window: '64',
  budget: '1024',
  heads: '4',
  dropout: '0.1',
  learningRate: '0.003',
  validateUsers: '1000',
  validateSteps: '128',
  patience: '8',
};
const CPU_SHOP = { shoppers: 600, items: 120 };
const CPU_SETTINGS = { ...GPU_SETTINGS, d: '32', ff: '64', budget: '512', validateUsers: '100', validateSteps: '32' };
const USUAL: DemoSize = { shop: {}, settings: GPU_SETTINGS };
const SMALL: DemoSize = { shop: CPU_SHOP, settings: CPU_SETTINGS };
const SHOWN = 5;

export async function runDemo(flags: DemoFlags): Promise<void> {
  const started = performance.now();
  const out = new Output(flags.json);
  const device = await openDevice(flags.device, out);
  try {
    const { shop, plan } = planDemo(flags.seed, !device.gpu ? SMALL : USUAL);
    const { users, items, dataset } = plan.split;
    const files = await openFolder();
    out.line(
      `The demo shop${!device.gpu ? ', a small one for the CPU' : ''}: ${formatCount(users)} invented shoppers bought ${formatCount(items)} goods ` +
        `${formatCount(dataset.items.length)} times.`,
    );
    out.line(
      `Training a transformer on which items follow which, for about ${formatDuration(flags.minutes * 60)}, on ${device.name}.`,
    );
    const lock = await lockFolder(FOLDER);
    try {
      await files.write(LOG, logCsv(shop.log));
      await files.write(GOODS, goodsCsv(plan.items));
      const deadline = started + flags.minutes * 60_000;
      const trained = await trainWithProgress(device, plan, files, {
        deadline,
        overwrite: true,
        progress: flags.progress,
      });
      const { result } = trained;
      if (result.reason === 'interrupted') {
        throw new InterruptedError(
          `stopped at step ${formatCount(result.step)}; what was learned so far is in ${FOLDER}`,
        );
      }
      const plot = lossPlot(
        result.losses.map(({ loss }) => loss),
        { height: 6, title: 'training loss' },
      );
      out.line(`\n${formatCount(result.tokens)} purchases learned from in ${formatDuration(result.seconds)}.\n${plot}`);
      const judged = await printMetrics(device, trained, plan.split, shop, out);
      const shoppers = await printShoppers(device, files, plan.split, shop, out);
      out.object({
        device: device.name,
        shop: { shoppers: users, items, purchases: dataset.items.length },
        ...judged,
        shoppers,
        model: FOLDER,
      });
      printNext(shoppers[0].history, out);
    } finally {
      await lock.release();
    }
  } finally {
    device.close();
  }
}

/** What is trained on which shop. */
export interface DemoSize {
  shop: ShopOptions;
  settings: Record<string, string>;
}

/** The demo's shop and the plan of its training. */
export function planDemo(seed: number, { shop: options, settings }: DemoSize, epochs?: number) {
  const shop = makeShop({ seed, ...options });
  const source = { log: shop.log, name: SOURCE, items: shop.items };
  // Nothing may be filtered: the upper bound is about these very purchases.
  const plan = planTraining(source, {
    recipe: 'sasrec',
    settings,
    minInteractions: 1,
    includeSeen: true,
    seed,
    epochs,
  });
  return { shop, plan };
}

/** ./attune-demo, new or with an earlier demo in it. @throws InputError when it holds a user's own model */
async function openFolder(): Promise<NodeFiles> {
  if (existsSync(FOLDER)) {
    const files = await NodeFiles.open(FOLDER);
    if (await holdsConfig(files)) {
      const { data } = await loadConfig(files);
      if (data.source !== SOURCE) {
        throw new InputError(
          'already-exists',
          `${FOLDER}: holds a model of ${data.source}, which the demo would overwrite`,
          { hint: 'move it away' },
        );
      }
    }
  }
  return NodeFiles.create(FOLDER);
}

/** The model, the baselines and the upper bound, on every shopper's last purchase. */
async function printMetrics(device: Device, trained: TrainedModel, split: Split, shop: Shop, out: Output) {
  const { files, config, result } = trained;
  const loaded = await loadModel(files);
  const model = await RankingModel.load(device, loaded, 'none');
  const tested = await evaluate(model.encoder, split, { split: 'test', includeSeen: true, blend: model.blend });
  const { metrics, targetsInHistory, users } = tested;
  const alone: Record<string, Metrics> = tested.parts.memory
    ? { 'its transformer alone': tested.parts.transformer, 'its transitions alone': tested.parts.memory }
    : {};
  model.dispose();
  const baselines = atOnce(baselineMetrics(split, 'test', 'kept')).metrics;
  const upperBound = shop.upperBound({ includeSeen: true, k: 10, split: 'test' });
  const { step, epoch } = loaded.weights;
  await writeModelCard(files, config, {
    date: new Date(),
    step,
    epoch,
    elapsedSeconds: result.seconds,
    users,
    metrics,
    baselines: { ...alone, ...baselines },
    split: 'test',
    seen: 'kept',
  });
  out.line(
    `\nCan it name what each shopper bought last, among all ${formatCount(split.items)} goods? (1 would be always, in first place)`,
  );
  const rows = { 'this model': metrics, ...alone, ...baselines, 'upper bound': { 'NDCG@10': upperBound } };
  out.line(metricsTable(rows, METRIC_COLUMNS));
  out.line(
    "\nThe upper bound is a recommender that knows every shopper's mind: taste, routines, wishes. Nobody can do better, but for luck.",
  );
  out.line(
    `Routines repeat: ${(100 * targetsInHistory).toFixed(0)} % of the last purchases had been bought before. So goods already bought stay ` +
      'in the ranking here (--include-seen); by default attune leaves them out.',
  );
  return { figures: { split: 'test', seen: 'kept', users, metrics, parts: tested.parts, baselines, upperBound } };
}

interface Shown {
  shopper: string;
  description: string;
  history: string[];
  recommended: Recommendation[];
}

/** Recommendations for three shoppers of different interests, from the folder as it was saved. */
async function printShoppers(device: Device, files: Files, split: Split, shop: Shop, out: Output): Promise<Shown[]> {
  const recommender = await Recommender.load(files, { device });
  const shown: Shown[] = [];
  for (const user of pickShoppers(split, shop)) {
    const { userIds, itemIds, items, offsets } = split.dataset;
    const history = Array.from(items.subarray(offsets[user], offsets[user + 1]), (row) => itemIds[row]);
    const { items: recommended } = await recommender.recommend({ history, k: SHOWN, includeSeen: true });
    const shopper = { shopper: userIds[user], description: shop.describe(userIds[user]), history, recommended };
    printShopper(shopper, shop, out);
    shown.push(shopper);
  }
  recommender.close();
  return shown;
}

/** The first three whose first interests differ. */
function pickShoppers(split: Split, shop: Shop): number[] {
  const kinds = new Set<string>();
  const picked: number[] = [];
  for (let user = 0; user < split.users && picked.length < 3; user++) {
    const kind = shop.describe(split.dataset.userIds[user]).split(' who ')[0];
    if (kinds.has(kind)) continue;
    kinds.add(kind);
    picked.push(user);
  }
  return picked;
}

function printShopper({ shopper, description, history, recommended }: Shown, shop: Shop, out: Output): void {
  const title = (id: string) => printable(shop.items.get(id)?.title ?? id);
  out.line(`\n${shopper}, ${description}`);
  out.line(`  bought lately   ${history.slice(-SHOWN).map(title).join(' · ')}`);
  recommended.forEach(({ id, title: name, attributes }, i) => {
    const again = history.includes(id) ? ', again' : '';
    out.line(
      `  ${i === 0 ? 'may want next' : '             '}   ${i + 1}. ${printable(name)} (${attributes.price}${again})`,
    );
  });
}

function printNext(history: readonly string[], out: Output): void {
  const command = commandName();
  out.line(`\nThe model is saved in ./${FOLDER}, with the shop's purchases and goods as CSV. Try it:`);
  out.line(`  ${command} recommend --model ${FOLDER} --history ${history.slice(-3).join(',')}`);
  out.line('On your own log (a CSV with user, item and timestamp columns will do):');
  out.line(`  ${command} train --data YOUR-LOG.csv --out my-model`);
}

export function goodsCsv(items: readonly Item[]): string {
  const names = Object.keys(items[0].attributes);
  const sorted = [...items].sort((a, b) => (a.id < b.id ? -1 : 1));
  const rows = sorted.map(({ id, title, attributes }) =>
    csvLine([id, title, ...names.map((name) => ownValue(attributes, name))]),
  );
  return `${['item', 'title', ...names].join(',')}\n${rows.join('\n')}\n`;
}
