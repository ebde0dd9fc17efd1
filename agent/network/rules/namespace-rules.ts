/**
 * The rules inside a slot's namespace. They translate between the guest's own
 * address and the slot's, pin the guest to its address, and keep it off the
 * namespace itself.
 *
 * What comes from the uplink passes only when it is from the host's end of the
 * link or answers what this guest asked. So packets that the host's connection
 * tracking still translates for an earlier holder of the slot end here: the
 * tracking of this namespace is new and knows nothing of them.
 */
import type { InstanceLayout } from '../layout.js';
import { GUEST } from '../layout.js';
import type { NetworkSlot } from '../network.js';
import { DNS_PORT } from './host-rules.js';

/** Connections that a guest may have open outwards; tracking them takes the host's memory. */
export const GUEST_CONNECTIONS_MAX = 4096;
/** Packets a second that a guest may send to the DNS forwarder. */
export const DNS_PACKETS_PER_SECOND_MAX = 500;

export function namespaceRules(layout: InstanceLayout, slot: NetworkSlot): string {
  const { tapName: tap, uplinkName: uplink, address, gateway, mac } = GUEST;
  return `
# Nothing enters but IPv4 without options and ARP for the gateway, both from the guest's own addresses.
table netdev wrenn {
  chain ingress {
    type filter hook ingress device ${tap} priority 0; policy drop;
    ether saddr != ${mac} drop
    meta protocol ip ip saddr ${address} ip hdrlength 5 accept
    meta protocol arp arp saddr ether ${mac} arp saddr ip ${address} arp daddr ip ${gateway} accept
  }
}

table inet wrenn {
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    iifname ${tap} meta l4proto { udp, tcp } th dport ${DNS_PORT} dnat ip to ${layout.forwarderAddress}
    iifname ${uplink} dnat ip to ${address}
  }

  chain input {
    type filter hook input priority filter; policy drop;
  }

  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state invalid drop
    iifname ${tap} oifname ${uplink} jump from_guest
    iifname ${uplink} oifname ${tap} ct state established,related accept
    iifname ${uplink} oifname ${tap} ip saddr ${slot.hostIp} accept
  }

  chain from_guest {
    ip daddr ${layout.forwarderAddress} limit rate over ${DNS_PACKETS_PER_SECOND_MAX}/second burst ${DNS_PACKETS_PER_SECOND_MAX} packets drop
    ct state new ct count over ${GUEST_CONNECTIONS_MAX} drop
    accept
  }

  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname ${uplink} snat ip to ${slot.guestIp}
  }
}
`;
}
