#!/usr/bin/env node
/**
 * Writes the log of a demo shop whose tastes change, for `attune backtest`.
 *
 *   node bench/drift.mjs OUT.csv [--drift 1] [--shoppers 1000] [--seed 1]
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { makeShop } from '../dist/data/demo-shop/shop.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { drift: { type: 'string' }, shoppers: { type: 'string' }, seed: { type: 'string' } },
});
const [out] = positionals;
if (out === undefined) {
  console.error('usage: node bench/drift.mjs OUT.csv [--drift 1] [--shoppers 1000] [--seed 1]');
  process.exit(2);
}
const { drift = '1', shoppers = '1000', seed = '1' } = values;
const { log } = makeShop({ drift: Number(drift), shoppers: Number(shoppers), seed: Number(seed) });
const rows = Array.from(log.user, (user, i) => `${log.userIds[user]},${log.itemIds[log.item[i]]},${log.time[i]}`);
writeFileSync(out, `user,item,timestamp\n${rows.join('\n')}\n`);
console.log(`${out}: ${rows.length} purchases`);
