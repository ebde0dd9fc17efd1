/**
 * The guests' DNS: takes their questions on the instance's own address, by UDP
 * and TCP, and relays them to the host's name servers as they are.
 *
 * It relays whole messages and knows no records, so it also tells a guest what
 * the host's name servers tell the host: names of a company's own zone, and
 * private addresses. The firewall keeps the guest from reaching those addresses;
 * a host whose name servers know secrets needs others in its resolv.conf.
 *
 * Guests are hostile: a message is bounded in size, a source in rate and in
 * questions under way, and what is over its bound is refused.
 */
import type { Log } from '../../../lib/log/log.js';
import { hostRequirement } from '../errors.js';
import { DNS_PORT } from '../rules/host-rules.js';
import { Admission, type AdmissionLimits } from './admission.js';
import { Relay } from './relay.js';
import { HostResolvers } from './resolvers.js';
import { TcpListener } from './tcp-listener.js';
import { UdpListener } from './udp-listener.js';

export interface ForwarderOptions {
  /** Address to listen on. */
  address: string;
  /** 0 takes any free one. */
  port?: number;
  resolvConfPath: string;
  /** Port of the name servers that resolv.conf names. */
  resolverPort?: number;
  /** How long one name server may take. */
  serverTimeoutMs?: number;
  limits?: AdmissionLimits;
  log: Log;
}

export interface DnsForwarder {
  readonly port: number;
  /** Stops; questions under way get no answer. Idempotent. */
  close(): Promise<void>;
}

/** @throws WrennError HOST_REQUIREMENT when the address or port is taken. */
export async function startDnsForwarder(options: ForwarderOptions): Promise<DnsForwarder> {
  const { address, port = DNS_PORT, log } = options;
  const own = { address, port };
  const relay = new Relay({
    resolvers: new HostResolvers(options.resolvConfPath, options.resolverPort),
    admission: new Admission(options.limits),
    own,
    ...(options.serverTimeoutMs === undefined ? {} : { serverTimeoutMs: options.serverTimeoutMs }),
    log,
  });
  const tcp = await TcpListener.open(address, port, relay).catch((cause: unknown) => {
    throw notBound(own, cause);
  });
  own.port = tcp.port;
  const udp = await UdpListener.open(address, tcp.port, relay, log).catch(async (cause) => {
    await tcp.close();
    throw notBound(own, cause);
  });
  return {
    port: tcp.port,
    async close() {
      relay.close();
      await Promise.all([tcp.close(), udp.close()]);
    },
  };
}

function notBound({ address, port }: { address: string; port: number }, cause: unknown) {
  return hostRequirement(
    `port ${port} of ${address} is taken; a DNS server on this host listens on all addresses and must be limited to its own`,
    { cause },
  );
}
