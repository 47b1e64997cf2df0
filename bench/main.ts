import { analytics } from './figures/analytics.ts';
import { closeToTold } from './figures/close-to-told.ts';
import { heartbeats } from './figures/heartbeats.ts';
import { hiddenOrNever } from './figures/hidden-or-never.ts';

const figures: Record<string, () => Promise<Record<string, number>[]>> = {
  heartbeats,
  'close-to-told': closeToTold,
  analytics,
  'hidden-or-never': hiddenOrNever,
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in figures));
if (unknown.length > 0) {
  console.error(`There is no figure ${unknown.join(', ')}; there are ${Object.keys(figures).join(', ')}.`);
  process.exit(1);
}
for (const [name, measure] of Object.entries(figures)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  console.log(`\n${name}`);
  const rows = await measure();
  console.table(rows);
  console.log(JSON.stringify({ figure: name, rows }));
}
process.exit(0);
