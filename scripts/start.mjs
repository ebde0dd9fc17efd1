/** `npm start`: the set-up, then `wrenn up`. Arguments go to `wrenn up`. */
import { runStreaming } from './run.mjs';
import { runMain, setUp } from './setup.mjs';

await runMain(async () => {
  await setUp({ listens: true });
  const { exitCode } = await runStreaming('node', ['bin/wrenn', 'up', ...process.argv.slice(2)], {
    timeoutMs: 'none',
  });
  return exitCode;
});
