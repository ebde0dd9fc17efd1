/**
 * A host of its own inside a network namespace, whose firewall drops by default
 * as those of container engines do. Sets an instance's network up in it, sees
 * whether a guest gets through, takes everything down, and prints what it found
 * as JSON. To be started by `ip netns exec`, so that nothing of it concerns the
 * real host.
 *
 *     nested-host INSTANCE_ID WORK_FOLDER
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createNetwork } from '../../../agent/network/host-network.js';
import { GUEST } from '../../../agent/network/layout.js';
import { silentLog } from '../../../lib/log/log.js';
import { run } from '../../../lib/process/run.js';
import { answerTo, questionFor } from '../dns/messages.js';
import { startDnsServer } from '../dns/server.js';
import { buildFrameWire, TestGuest } from './guest.js';
import { unhurried } from './instances.js';
import { Outside } from './outside.js';

const PORT = 7000;
const FIREWALL = `
table ip filter {
  chain FORWARD {
    type filter hook forward priority filter; policy drop;
    jump DOCKER-USER
  }
  chain INPUT {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    ct state established accept
  }
  chain DOCKER-USER {
  }
}
table inet strict {
  chain forward {
    type filter hook forward priority 10; policy drop;
    counter comment "not ours"
  }
}
`;

export interface NestedHostReport {
  /** Rules of the instance in the firewall's chains, as `table chain`. */
  rulesWhileOpen: string[];
  rulesAfterRestart: string[];
  rulesAfterClose: string[];
  internet: string;
  dns: string;
  /** Another link of the host, which the firewall still drops. */
  otherLink: string;
}

const [instanceId = '', directory = ''] = process.argv.slice(2);
const resolvConfPath = join(directory, 'resolv.conf');

async function rules(): Promise<string[]> {
  const { stdout } = await run('nft', ['-j', 'list', 'ruleset']);
  type Rule = { table: string; chain: string; comment?: string };
  const { nftables } = JSON.parse(stdout) as { nftables: { rule?: Rule }[] };
  return nftables
    .flatMap(({ rule }) => (rule?.comment === `wrenn-${instanceId}` ? [rule] : []))
    .map(({ table, chain }) => `${table} ${chain}`)
    .sort();
}

async function examine(): Promise<NestedHostReport> {
  await run('ip', ['link', 'set', 'lo', 'up']);
  await run('nft', ['-f', '-'], { input: FIREWALL });
  await writeFile(resolvConfPath, 'nameserver 127.0.0.53\n');
  const resolver = await startDnsServer('127.0.0.53', 53, (question) => [
    answerTo(question, '192.0.2.53'),
  ]);
  const outside = await Outside.start(instanceId);
  const other = await Outside.start(`${instanceId}o`);
  await outside.place.listen(PORT);

  const open = () => createNetwork({ instanceId, poolSize: 0, log: silentLog, resolvConfPath });
  const first = await open();
  const rulesWhileOpen = await rules();
  const slot = await first.acquire(async () => undefined, unhurried);
  await first.close();
  const second = await open();
  const rulesAfterRestart = await rules();

  const guest = await TestGuest.start(slot, await buildFrameWire(directory));
  const internet = (await guest.place.tcp(outside.address, PORT)).outcome;
  const dns = (await guest.place.udp(GUEST.gateway, 53, questionFor('a.example'))).outcome;
  const otherLink = (await other.place.tcp(outside.address, PORT)).outcome;

  await guest.stop();
  await second.adopt(slot);
  await second.release(slot);
  await second.close();
  const rulesAfterClose = await rules();
  await Promise.all([outside.stop(), other.stop(), resolver.close()]);
  return { rulesWhileOpen, rulesAfterRestart, rulesAfterClose, internet, dns, otherLink };
}

console.log(JSON.stringify(await examine()));
