/**
 * IPv4 ranges that no guest reaches, whatever else is allowed: they lead to the
 * host, to its neighbours, to cloud metadata, or nowhere. IPv6 is dropped as a
 * whole, so its private ranges need no list.
 */
export const DENIED_RANGES: readonly string[] = [
  '0.0.0.0/8', // this network
  '10.0.0.0/8', // private
  '100.64.0.0/10', // carrier-grade NAT
  '127.0.0.0/8', // loopback
  '169.254.0.0/16', // link-local, and cloud metadata
  '172.16.0.0/12', // private
  '192.0.0.0/24', // protocol assignments, and some clouds' metadata
  '192.168.0.0/16', // private
  '198.18.0.0/15', // benchmarking
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
];
