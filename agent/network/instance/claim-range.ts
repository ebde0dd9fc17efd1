/**
 * The instance's address range on the host: a bridge without ports to which the
 * whole range is routed. The route tells every other instance that the range is
 * taken, and packets to slots that do not exist end there instead of leaving by
 * the default route. Adding a route that exists fails, so two instances that
 * choose the same range at the same moment cannot both have it.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { WrennError } from '../../../lib/errors/index.js';
import type { NetworkCommands } from '../commands.js';
import { readResolvers } from '../dns/resolvers.js';
import { hostRequirement } from '../errors.js';
import { formatRange, type Ipv4Range, parseIpv4 } from '../ipv4.js';
import { bridgeNameOf, InstanceLayout, linkPrefixOf } from '../layout.js';
import { checkRange, chooseRange } from './choose-range.js';
import { readUsedRanges, type UsedRange } from './host-routes.js';

/** Ranges that are tried when others are quicker. */
const CLAIM_ATTEMPTS_MAX = 8;

export interface RangeRequest {
  instanceId: string;
  /** Range that is set or was chosen before; undefined: choose one. */
  range: string | undefined;
  resolvConfPath: string;
}

/**
 * Finds the range and makes it this instance's; does nothing when it is already.
 * @throws WrennError HOST_REQUIREMENT when the range overlaps what the host uses.
 */
export async function claimRange(
  commands: NetworkCommands,
  request: RangeRequest,
): Promise<InstanceLayout> {
  for (let attempt = 1; ; attempt += 1) {
    const { foreign, own } = await readUse(commands, request);
    // What stands is kept, also when the host has got an overlapping route since.
    if (own && isWanted(own, request)) return new InstanceLayout(request.instanceId, own);
    const layout = new InstanceLayout(request.instanceId, findRange(request, foreign));
    await removeBridge(commands, layout);
    try {
      await commands.ip(bridgeCommands(layout));
      return layout;
    } catch (cause) {
      await removeBridge(commands, layout);
      if (attempt >= CLAIM_ATTEMPTS_MAX) throw notClaimed(layout, cause);
    }
  }
}

/** Gives the range back. Idempotent. */
export async function removeBridge(
  commands: NetworkCommands,
  { bridgeName }: InstanceLayout,
): Promise<void> {
  if (existsSync(join('/sys/class/net', bridgeName))) {
    await commands.ip([`link del ${bridgeName}`]);
  }
}

interface Use {
  foreign: UsedRange[];
  /** The range that this instance has claimed, now or in an earlier run. */
  own: Ipv4Range | undefined;
}

async function readUse(commands: NetworkCommands, request: RangeRequest): Promise<Use> {
  const bridgeName = bridgeNameOf(request.instanceId);
  const linkPrefix = linkPrefixOf(request.instanceId);
  const routes = await readUsedRanges(commands);
  const foreign = routes.filter(
    ({ device }) => device !== bridgeName && !device?.startsWith(linkPrefix),
  );
  const claim = routes.find(
    ({ device, range }) => device === bridgeName && range.prefixLength < 32,
  );
  return {
    foreign: [...foreign, ...(await resolverRanges(request.resolvConfPath))],
    own: claim?.range,
  };
}

/** A guest's questions go through the host to these, so the range must not hide them. */
async function resolverRanges(resolvConfPath: string): Promise<UsedRange[]> {
  return (await readResolvers(resolvConfPath)).flatMap(({ address }) => {
    const base = parseIpv4(address);
    if (base === undefined) return [];
    const range = { base, prefixLength: 32 };
    return [{ range, device: undefined, description: `the name server ${address}` }];
  });
}

function isWanted(own: Ipv4Range, { range }: RangeRequest): boolean {
  return range === undefined || range === formatRange(own);
}

function findRange({ instanceId, range }: RangeRequest, foreign: UsedRange[]): Ipv4Range {
  return range === undefined ? chooseRange(instanceId, foreign) : checkRange(range, foreign);
}

function bridgeCommands({ bridgeName, forwarderAddress, rangeText }: InstanceLayout): string[] {
  return [
    `link add ${bridgeName} type bridge`,
    `link set ${bridgeName} addrgenmode none`,
    `addr add ${forwarderAddress}/32 dev ${bridgeName}`,
    `link set ${bridgeName} up`,
    `route add ${rangeText} dev ${bridgeName} src ${forwarderAddress}`,
  ];
}

function notClaimed({ rangeText }: InstanceLayout, cause: unknown): WrennError {
  return hostRequirement(
    `the network range ${rangeText} could not be claimed with a bridge; see the agent's log`,
    { cause },
  );
}
