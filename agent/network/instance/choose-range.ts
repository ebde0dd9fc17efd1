/** Finds an address range for the links to the guests that is nobody else's. */
import { createHash } from 'node:crypto';
import type { WrennError } from '../../../lib/errors/index.js';
import { hostRequirement } from '../errors.js';
import { formatRange, type Ipv4Range, parseRange, rangesOverlap } from '../ipv4.js';
import { GUEST, PREFIX_LENGTH_MAX, PREFIX_LENGTH_MIN } from '../layout.js';
import type { UsedRange } from './host-routes.js';

/** Where a free range is looked for when none is set. */
const SEARCHED: Ipv4Range = { base: 0x0ac00000, prefixLength: 10 }; // 10.192.0.0/10
/** 8191 slots. */
const CHOSEN_PREFIX_LENGTH = 18;
const CANDIDATE_COUNT = 2 ** (CHOSEN_PREFIX_LENGTH - SEARCHED.prefixLength);
const CANDIDATE_SIZE = 2 ** (32 - CHOSEN_PREFIX_LENGTH);

/** Addresses that mean something else on every host or in every guest. */
const RESERVED = ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/3', `${GUEST.address}/32`].concat(
  `${GUEST.gateway}/32`,
);

/**
 * The range that the operator set.
 * @throws WrennError HOST_REQUIREMENT when it is no range, too small or large,
 *   or overlaps what the host uses; the message names the overlap.
 */
export function checkRange(text: string, used: readonly UsedRange[]): Ipv4Range {
  const range = parseRange(text);
  if (!range) throw refused(text, 'is not an IPv4 range such as 10.200.0.0/18');
  if (range.prefixLength < PREFIX_LENGTH_MIN || range.prefixLength > PREFIX_LENGTH_MAX) {
    throw refused(text, `must be between a /${PREFIX_LENGTH_MIN} and a /${PREFIX_LENGTH_MAX}`);
  }
  const reserved = RESERVED.find((taken) => overlaps(range, parseRange(taken)));
  if (reserved) throw refused(text, `overlaps the reserved range ${reserved}`);
  const overlap = used.find((taken) => overlaps(range, taken.range));
  if (overlap) throw refused(text, `overlaps ${overlap.description}`);
  return range;
}

/**
 * A free range. The search starts at a place that follows from the instance id,
 * so that instances that start together rarely meet.
 * @throws WrennError HOST_REQUIREMENT when there is none.
 */
export function chooseRange(instanceId: string, used: readonly UsedRange[]): Ipv4Range {
  const start = createHash('sha256').update(instanceId).digest().readUInt32BE(0);
  for (let step = 0; step < CANDIDATE_COUNT; step += 1) {
    const base = SEARCHED.base + ((start + step) % CANDIDATE_COUNT) * CANDIDATE_SIZE;
    const range = { base, prefixLength: CHOSEN_PREFIX_LENGTH };
    if (!used.some((taken) => overlaps(range, taken.range))) return range;
  }
  throw refused(
    formatRange(SEARCHED),
    `has no free /${CHOSEN_PREFIX_LENGTH}: the host's routes cover it`,
  );
}

function overlaps(range: Ipv4Range, other: Ipv4Range | undefined): boolean {
  return other !== undefined && rangesOverlap(range, other);
}

function refused(range: string, why: string): WrennError {
  return hostRequirement(
    `the network range ${range} ${why}; set WRENN_NETWORK_CIDR to a free private range`,
    { metadata: { range } },
  );
}
