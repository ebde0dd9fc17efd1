/** Ethernet frames built by hand, for what a well-behaved network stack would not send. */

export const Protocol = { ICMP: 1, TCP: 6, UDP: 17, GRE: 47, SCTP: 132 } as const;

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_ARP = 0x0806;
const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const TTL = 64;

export interface Ipv4Fields {
  source: string;
  destination: string;
  protocol: number;
  payload?: Buffer;
  /** Options of the header, a multiple of four bytes. */
  options?: Buffer;
  /** Flags and offset of a fragment, as they stand in the header. */
  fragment?: number;
}

export function ethernet(to: string, from: string, etherType: number, payload: Buffer): Buffer {
  const type = Buffer.alloc(2);
  type.writeUInt16BE(etherType);
  return Buffer.concat([mac(to), mac(from), type, payload]);
}

export function ipv4Frame(to: string, from: string, fields: Ipv4Fields): Buffer {
  return ethernet(to, from, ETHERTYPE_IPV4, ipv4Packet(fields));
}

export function ipv4Packet(fields: Ipv4Fields): Buffer {
  const { payload = Buffer.alloc(8), options = Buffer.alloc(0), fragment = 0 } = fields;
  const header = Buffer.alloc(20);
  const headerSize = header.length + options.length;
  header[0] = 0x40 | (headerSize / 4);
  header.writeUInt16BE(headerSize + payload.length, 2);
  header.writeUInt16BE(fragment, 6);
  header[8] = TTL;
  header[9] = fields.protocol;
  address(fields.source).copy(header, 12);
  address(fields.destination).copy(header, 16);
  const whole = Buffer.concat([header, options]);
  whole.writeUInt16BE(checksum(whole), 10);
  return Buffer.concat([whole, payload]);
}

/** A datagram without a checksum, which IPv4 allows. */
export function udpDatagram(sourcePort: number, port: number, payload = Buffer.alloc(4)): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(sourcePort, 0);
  header.writeUInt16BE(port, 2);
  header.writeUInt16BE(header.length + payload.length, 4);
  return Buffer.concat([header, payload]);
}

export function icmpEcho(): Buffer {
  const message = Buffer.from([8, 0, 0, 0, 0, 1, 0, 1]);
  message.writeUInt16BE(checksum(message), 2);
  return message;
}

/** The first message of an SCTP association. */
export function sctpInit(): Buffer {
  const ports = '0fa00fa1';
  const chunk = '0100001400000001000010000001000100000001';
  const message = Buffer.from(`${ports}0000000000000000${chunk}`, 'hex');
  message.writeUInt32LE(crc32c(message), 8);
  return message;
}

/** The first segment of a TCP connection between two addresses. */
export function tcpSyn(source: string, destination: string, sourcePort: number, port: number) {
  const segment = Buffer.alloc(20);
  segment.writeUInt16BE(sourcePort, 0);
  segment.writeUInt16BE(port, 2);
  segment.writeUInt16BE(0x5002, 12);
  const pseudoHeader = Buffer.concat([
    address(source),
    address(destination),
    Buffer.from([0, Protocol.TCP, 0, segment.length]),
  ]);
  segment.writeUInt16BE(checksum(Buffer.concat([pseudoHeader, segment])), 16);
  return segment;
}

/** An ARP message: a request for `target`, or a claim when source and target are the same. */
export function arpFrame(senderMac: string, senderIp: string, targetIp: string): Buffer {
  const fixed = Buffer.from([0, 1, 8, 0, 6, 4, 0, 1]);
  const target = Buffer.concat([Buffer.alloc(6), address(targetIp)]);
  const message = Buffer.concat([fixed, mac(senderMac), address(senderIp), target]);
  return ethernet(BROADCAST, senderMac, ETHERTYPE_ARP, message);
}

function mac(text: string): Buffer {
  return Buffer.from(text.replace(/:/g, ''), 'hex');
}

function address(text: string): Buffer {
  return Buffer.from(text.split('.').map(Number));
}

function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let offset = 0; offset < bytes.length; offset += 2) sum += bytes.readUInt16BE(offset);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function crc32c(bytes: Buffer): number {
  const POLYNOMIAL = 0x82f63b78;
  let remainder = 0xffffffff;
  for (const byte of bytes) {
    remainder ^= byte;
    for (let bit = 0; bit < 8; bit += 1) {
      remainder = (remainder >>> 1) ^ (remainder & 1 ? POLYNOMIAL : 0);
    }
  }
  return ~remainder >>> 0;
}
