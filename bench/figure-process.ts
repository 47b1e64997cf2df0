import { figures } from './figures.ts';
import { scaleOf } from './measure/figure.ts';

// One figure in a process of its own: whatever it started ends with it. `node bench/figure-process.ts <figure> full|once|quick [<folder>]`
const [name = '', mode, against = null] = process.argv.slice(2);
process.on('disconnect', () => process.exit(1));
const outcome = await figures[name]?.measure(scaleOf(mode === 'quick' || mode === 'once' ? mode : 'full', against));
process.send?.(outcome, () => process.exit(0));
