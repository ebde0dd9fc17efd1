/**
 * Makes and takes connections inside a network namespace. Started there as a
 * process of its own; takes one command a line as JSON and answers with one.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';

/** What a program in the namespace is told to do. */
export type ProbeCommand =
  | { kind: 'tcp'; address: string; port: number; text?: string }
  | { kind: 'udp'; address: string; port: number; base64: string }
  /** Connections that stay, one TCP and one UDP. */
  | { kind: 'hold'; address: string; port: number }
  /** A UDP question whose answer nobody awaits. */
  | { kind: 'say'; address: string; port: number; base64: string }
  | { kind: 'listen'; port: number }
  /** The listeners speak to everybody who ever spoke to them. */
  | { kind: 'speak'; text: string }
  | { kind: 'received' };

/** How a connection went: what came back, or why nothing did. */
export type ProbeAnswer =
  | { outcome: 'answered'; base64: string }
  | { outcome: 'refused' | 'unreachable' | 'silent' | 'done' }
  | { outcome: 'received'; messages: string[] };

/** How long nothing has to come back for an address to count as silent. */
const SILENCE_MS = 700;

/** What the listeners of this process have got, as `protocol source:port text`. */
const received: string[] = [];
/** How to speak to everybody who ever spoke to a listener. */
const peers: ((text: string) => void)[] = [];

for await (const line of createInterface({ input: process.stdin })) {
  const { id, command } = JSON.parse(line) as { id: number; command: ProbeCommand };
  void perform(command).then((answer) => console.log(JSON.stringify({ id, answer })));
}
process.exit(0);

function perform(command: ProbeCommand): Promise<ProbeAnswer> {
  switch (command.kind) {
    case 'tcp':
      return askByTcp(command.address, command.port, command.text ?? 'hello');
    case 'udp':
      return askByUdp(command);
    case 'hold':
      return hold(command.address, command.port);
    case 'say':
      return say(command);
    case 'listen':
      return listen(command.port);
    case 'speak':
      for (const speakTo of peers) speakTo(command.text);
      return Promise.resolve({ outcome: 'done' });
    case 'received':
      return Promise.resolve({ outcome: 'received', messages: received });
  }
}

function askByTcp(address: string, port: number, text: string): Promise<ProbeAnswer> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const end = (answer: ProbeAnswer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(SILENCE_MS, () => end({ outcome: 'silent' }));
    socket.once('connect', () => socket.write(text));
    socket.once('data', (data: Buffer) =>
      end({ outcome: 'answered', base64: data.toString('base64') }),
    );
    socket.once('error', (error: NodeJS.ErrnoException) => {
      end({ outcome: error.code === 'ECONNREFUSED' ? 'refused' : 'unreachable' });
    });
  });
}

function askByUdp(command: ProbeCommand & { kind: 'udp' }): Promise<ProbeAnswer> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const end = (answer: ProbeAnswer) => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => end({ outcome: 'silent' }), SILENCE_MS);
    socket.on('error', () => end({ outcome: 'unreachable' }));
    socket.on('message', (data) => end({ outcome: 'answered', base64: data.toString('base64') }));
    const message = Buffer.from(command.base64, 'base64');
    socket.send(message, command.port, command.address, (error) => {
      if (error) end({ outcome: 'unreachable' });
    });
  });
}

async function hold(address: string, port: number): Promise<ProbeAnswer> {
  const tcp = connect({ host: address, port }).on('error', () => undefined);
  tcp.write('hold');
  const udp = createSocket('udp4').on('error', () => undefined);
  udp.send('hold', port, address);
  await Promise.all([once(tcp, 'data'), once(udp, 'message')]);
  return { outcome: 'done' };
}

async function say(command: ProbeCommand & { kind: 'say' }): Promise<ProbeAnswer> {
  const udp = createSocket('udp4').on('error', () => undefined);
  udp.send(Buffer.from(command.base64, 'base64'), command.port, command.address);
  return { outcome: 'done' };
}

/** Echoes on a TCP and a UDP port, and keeps what came. */
async function listen(port: number): Promise<ProbeAnswer> {
  const tcp = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (data: Buffer) => {
      received.push(`tcp ${socket.remoteAddress}:${socket.remotePort} ${data}`);
      socket.write(data);
    });
    peers.push((text) => socket.write(text));
  });
  const udp = createSocket('udp4');
  udp.on('message', (data, source) => {
    received.push(`udp ${source.address}:${source.port} ${data}`);
    udp.send(data, source.port, source.address);
    peers.push((text) => udp.send(text, source.port, source.address));
  });
  await new Promise<void>((resolve) => tcp.listen(port, '0.0.0.0', resolve));
  await new Promise<void>((resolve) => udp.bind(port, '0.0.0.0', resolve));
  return { outcome: 'done' };
}
