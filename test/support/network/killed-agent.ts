/**
 * Sets an instance's network up, takes slots, prints them as JSON and waits to
 * be killed, as an agent is that ends without warning.
 *
 *     killed-agent INSTANCE_ID RANGE POOL_SIZE SLOTS
 */
import { createNetwork } from '../../../agent/network/host-network.js';
import type { NetworkSlot } from '../../../agent/network/network.js';
import { silentLog } from '../../../lib/log/log.js';
import { eventually } from '../eventually.js';

const [instanceId = '', range = '', poolSize = '0', count = '0'] = process.argv.slice(2);
const network = await createNetwork({
  instanceId,
  range: range || undefined,
  poolSize: Number(poolSize),
  log: silentLog,
});
await network.sweep([]);
const slots: NetworkSlot[] = [];
while (slots.length < Number(count)) {
  slots.push(await network.acquire(async () => undefined, new AbortController().signal));
}
await eventually(() => {
  if (network.readyCount < Number(poolSize)) throw new Error('the pool is not full yet');
});
console.log(JSON.stringify(slots));
setInterval(() => undefined, 60_000);
