import { demoRoutes } from '../src/demo/routes.ts';
import { startWeb } from '../src/web/start.ts';

/**
 * The web process of `npm run demo`: the usual one, plus the demo page and the token route. These are added here and
 * nowhere else, so that no setting can turn them on in a deployment.
 */
const { JWT_SECRET } = process.env;
if (!JWT_SECRET) throw new Error('demo-web.ts is started by scripts/demo.ts, which makes a secret of its own.');

await startWeb(process.env, { routes: demoRoutes(JWT_SECRET) });
