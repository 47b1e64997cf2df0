import { freePort } from '../../scripts/embedded/free-port.ts';
import { type Deployment, WebProgram } from './deployment.ts';

/** Adds a web that serves the demo page at `/`, as `npm run demo` does. */
export async function addDemoWeb(deployment: Deployment, given?: string): Promise<WebProgram> {
  const port = given ?? `${await freePort()}`;
  const web = new WebProgram('scripts/demo-web.ts', { ...deployment.env, PORT: port }, `http://127.0.0.1:${port}`);
  deployment.webs.push(web);
  await web.said(/"msg":"started"/);
  return web;
}
