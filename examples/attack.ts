/**
 * An attack and its defense: profiles that push a slow seller into other shoppers' lists, and the guard that finds them.
 *
 *     node dist/examples/attack.js
 */
import { attack, demoShop, logOf } from 'attune/train';

const { events } = demoShop({ shoppers: 600, seed: 3 });
const sales = new Map<string, number>();
for (const { item } of events) sales.set(item, (sales.get(item) ?? 0) + 1);
const [[slow]] = [...sales].sort((a, b) => a[1] - b[1]);

const { profiles, without, components, detector, guard } = await attack(
  { log: logOf(events, 'the demo shop'), name: 'the demo shop' },
  {
    item: slow,
    kind: 'average', // with other goods, drawn by how often they are sold
    size: 0.03,
    guard: true,
    training: {
      recipe: 'sasrec',
      settings: { d: '16', ff: '16', blocks: '1', window: '32', learningRate: '0.01', validateUsers: '100' },
      epochs: 2,
    },
  },
);

const percent = (share = 0) => `${(100 * share).toFixed(1)} %`;
console.log(`${profiles} profiles push ${slow}, which is in the list of ten of so many of ${without} shoppers:`);
for (const [component, trainings] of Object.entries(components)) {
  const { clean, attacked, guarded } = trainings;
  const kept = percent(attacked?.overlap?.mean);
  console.log(
    `  ${component.padEnd(12)} ${percent(clean?.targetHitRate)} before, ${percent(attacked?.targetHitRate)} attacked (${kept} of the lists kept), ${percent(guarded?.targetHitRate)} guarded`,
  );
}
console.log(
  `the detector's AUC is ${detector.AUC.toFixed(3)}; the guard left out ${guard?.injected} profiles and ${guard?.honest} shoppers`,
);
