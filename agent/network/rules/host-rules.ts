/**
 * The instance's firewall on the host: one table with wildcard rules, so that
 * a slot comes and goes without touching it. The chains run before other
 * programs' ones, and a drop here is final.
 */
import type { InstanceLayout } from '../layout.js';
import { DENIED_RANGES } from './denied-ranges.js';

/** Port of the DNS forwarder. */
export const DNS_PORT = 53;

/** Loads the table, or replaces it, in one transaction. */
export function hostRules(layout: InstanceLayout): string {
  const links = `"${layout.linkPattern}"`;
  const range = layout.rangeText;
  return `
${removeHostRules(layout)}
table inet ${layout.tableName} {
  set denied {
    type ipv4_addr
    flags interval
    auto-merge
    elements = { ${[...DENIED_RANGES, range].join(', ')} }
  }

  chain prerouting {
    type filter hook prerouting priority raw; policy accept;
    iifname ${links} meta nfproto ipv6 drop
    iifname ${links} fib saddr . iif oif missing drop
  }

  chain input {
    type filter hook input priority filter - 10; policy accept;
    iifname ${links} goto input_from_guest
    iifname != "lo" ip daddr ${layout.forwarderAddress} drop
  }

  # Only answers to what the host asked, and questions to the forwarder.
  chain input_from_guest {
    ct state established,related ct direction reply accept
    ip daddr ${layout.forwarderAddress} meta l4proto { udp, tcp } th dport ${DNS_PORT} accept
    drop
  }

  chain forward {
    type filter hook forward priority filter - 10; policy accept;
    oifname ${links} goto forward_to_guest
    iifname ${links} goto forward_from_guest
  }

  chain forward_from_guest {
    ct state invalid drop
    ip daddr @denied drop
    oifname "wv-*" drop
    oifname "wb-*" drop
    tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
    accept
  }

  # Nobody but a guest opens a connection, and none comes from another guest.
  chain forward_to_guest {
    iifname "wv-*" drop
    ct state established,related ct direction reply accept
    drop
  }

  # The source is the slot's address: the namespace has translated it.
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "wv-*" return
    ip saddr ${range} ip daddr != ${range} oifname != "lo" masquerade
  }
}
`;
}

/** Removes the table whether or not it is there. */
export function removeHostRules(layout: InstanceLayout): string {
  return `table inet ${layout.tableName}\ndelete table inet ${layout.tableName}`;
}
