/**
 * `npm run demo`: the set-up, then the whole platform once through its public
 * API. `npm run demo:agent`: the same with the host agent alone.
 */
import { runStreaming } from './run.mjs';
import { runMain, setUp } from './setup.mjs';

const DEMOS = { platform: 'dist/cli/demo/main.js', agent: 'dist/cli/demo/agent-main.js' };

await runMain(async () => {
  await setUp();
  const demo = process.argv[2] === 'agent' ? DEMOS.agent : DEMOS.platform;
  const { exitCode } = await runStreaming('node', [demo]);
  return exitCode;
});
