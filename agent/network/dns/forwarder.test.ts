import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { hasReason } from '../../../lib/errors/index.js';
import { silentLog } from '../../../lib/log/log.js';
import { addressIn, answerTo, nameIn, questionFor } from '../../../test/support/dns/messages.js';
import { type DnsServer, framed, startDnsServer } from '../../../test/support/dns/server.js';
import { eventually } from '../../../test/support/eventually.js';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../../test/support/temporary-directory.js';
import { ADMISSION_LIMITS, type AdmissionLimits } from './admission.js';
import { type DnsForwarder, startDnsForwarder } from './forwarder.js';
import { errorAnswer, parseQuery, Rcode, rcodeOf, withId } from './message.js';
import { CONNECTIONS_MAX, CONNECTIONS_PER_SOURCE_MAX } from './tcp-listener.js';

const SERVER_TIMEOUT_MS = 400;

describe('the DNS forwarder', () => {
  let directory: TemporaryDirectory;
  let first: DnsServer;
  let second: DnsServer;
  let forwarder: DnsForwarder;

  const start = (limits: AdmissionLimits = ADMISSION_LIMITS, serverTimeoutMs = SERVER_TIMEOUT_MS) =>
    startDnsForwarder({
      address: '127.0.0.9',
      port: 0,
      resolvConfPath: join(directory.path, 'resolv.conf'),
      resolverPort: first.port,
      serverTimeoutMs,
      limits,
      log: silentLog,
    });

  beforeEach(async () => {
    directory = await temporaryDirectory();
    const text = 'nameserver 127.0.0.1\nnameserver 127.0.0.2\n';
    await writeFile(join(directory.path, 'resolv.conf'), text);
    first = await startDnsServer('127.0.0.1', 0, (question) => [answerTo(question, '1.1.1.1')]);
    second = await startDnsServer('127.0.0.2', first.port, (question) => [
      answerTo(question, '2.2.2.2'),
    ]);
    forwarder = await start();
  });

  afterEach(async () => {
    await Promise.all([forwarder.close(), first.close(), second.close()]);
    await directory.remove();
  });

  const ask = async (message: Buffer, from = '127.0.0.1'): Promise<Buffer> => {
    const socket = createSocket('udp4');
    try {
      socket.bind(0, from);
      socket.send(message, forwarder.port, '127.0.0.9');
      const [answer] = (await once(socket, 'message')) as [Buffer];
      return answer;
    } finally {
      socket.close();
    }
  };

  const openTcp = async (localAddress = '127.0.0.1'): Promise<Socket> => {
    const to = { host: '127.0.0.9', port: forwarder.port, localAddress };
    const socket = connect(to).on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  };

  const askByTcp = async (message: Buffer, from?: string): Promise<Buffer> => {
    const socket = await openTcp(from);
    socket.write(framed(message));
    const closed = once(socket, 'close').then(() => Promise.reject(new Error('closed')));
    const [answer] = (await Promise.race([once(socket, 'data'), closed])) as [Buffer];
    closed.catch(() => undefined);
    socket.destroy();
    return answer.subarray(2);
  };

  it('relays a question and its answer by UDP, under the guest’s id', async () => {
    const answer = await ask(questionFor('a.example', 77));
    expect(answer.readUInt16BE(0)).to.equal(77);
    expect(addressIn(answer)).to.equal('1.1.1.1');
    expect(first.questions.map(({ message }) => nameIn(message))).to.deep.equal(['a.example']);
  });

  it('relays by TCP what was asked by TCP, and answers larger than a datagram may be', async () => {
    const large = (question: Buffer) =>
      Buffer.concat([answerTo(question, '1.1.1.1'), Buffer.alloc(40_000, 7)]);
    first.behaviour = (question) => [large(question)];
    const question = questionFor('a.example');
    const socket = await openTcp();
    socket.write(framed(question));
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    await eventually(() => {
      expect(Buffer.concat(chunks)).to.deep.equal(framed(large(question)));
    });
    socket.destroy();
    expect(first.questions.map(({ protocol }) => protocol)).to.deep.equal(['tcp']);
  });

  it('answers many questions on one TCP connection', async () => {
    const socket = await openTcp();
    const names = ['a.example', 'b.example', 'c.example'];
    socket.write(Buffer.concat(names.map((name, id) => framed(questionFor(name, id)))));
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    const size = names.length * (2 + answerTo(questionFor('a.example'), '1.1.1.1').length);
    await eventually(() => expect(Buffer.concat(chunks).length).to.equal(size));
    socket.destroy();
  });

  it('asks under other ids and ports than the guest’s, each time new ones', async () => {
    for (let count = 0; count < 8; count += 1) await ask(questionFor('a.example', 1));
    const ids = first.questions.map(({ message }) => message.readUInt16BE(0));
    const ports = first.questions.map(({ port }) => port);
    expect(new Set(ids).size).to.be.greaterThan(5);
    expect(new Set(ports).size).to.be.greaterThan(5);
  });

  it('asks the next name server when one is silent or unhelpful', async () => {
    first.behaviour = () => [];
    expect(addressIn(await ask(questionFor('a.example')))).to.equal('2.2.2.2');
    for (const rcode of [Rcode.SERVFAIL, Rcode.REFUSED, Rcode.NOTIMP]) {
      first.behaviour = (question) => [answerTo(question, '', rcode)];
      expect(addressIn(await ask(questionFor('a.example')))).to.equal('2.2.2.2');
    }
    await first.close();
    expect(addressIn(await ask(questionFor('a.example'))), 'closed port').to.equal('2.2.2.2');
    expect(addressIn(await askByTcp(questionFor('a.example'))), 'by TCP').to.equal('2.2.2.2');
  });

  it('passes on that a name does not exist, without asking further', async () => {
    first.behaviour = (question) => [answerTo(question, '', Rcode.NXDOMAIN)];
    expect(rcodeOf(await ask(questionFor('a.example')))).to.equal(Rcode.NXDOMAIN);
    expect(second.questions).to.have.length(0);
  });

  it('passes on the unhelpful answer when no name server has a better one', async () => {
    first.behaviour = (question) => [answerTo(question, '', Rcode.REFUSED)];
    second.behaviour = first.behaviour;
    expect(rcodeOf(await ask(questionFor('a.example')))).to.equal(Rcode.REFUSED);
    expect(first.questions).to.have.length(1);
  });

  it('answers SERVFAIL when all name servers are dead, after it tried each twice', async () => {
    first.behaviour = () => [];
    second.behaviour = () => [];
    const question = questionFor('a.example', 5);
    const query = parseQuery(question);
    expect(await ask(question)).to.deep.equal(query && errorAnswer(query, Rcode.SERVFAIL));
    expect([first.questions.length, second.questions.length]).to.deep.equal([2, 2]);
  });

  it('ignores answers with another id or another question', async () => {
    first.behaviour = (question) => [
      withId(answerTo(question, '6.6.6.6'), question.readUInt16BE(0) ^ 1),
      answerTo(questionFor('b.example', question.readUInt16BE(0)), '6.6.6.6'),
      question,
      Buffer.from('x'),
      answerTo(question, '1.1.1.1'),
    ];
    expect(addressIn(await ask(questionFor('a.example')))).to.equal('1.1.1.1');
    expect(addressIn(await askByTcp(questionFor('a.example')))).to.equal('1.1.1.1');
  });

  it('follows resolv.conf when it changes', async () => {
    await ask(questionFor('a.example'));
    await writeFile(join(directory.path, 'resolv.conf'), 'nameserver 127.0.0.2\n');
    await eventually(async () => {
      expect(addressIn(await ask(questionFor('a.example')))).to.equal('2.2.2.2');
    });
  });

  it('never asks itself', async () => {
    await forwarder.close();
    await writeFile(join(directory.path, 'resolv.conf'), 'nameserver 127.0.0.9\n');
    forwarder = await startDnsForwarder({
      address: '127.0.0.9',
      port: first.port,
      resolvConfPath: join(directory.path, 'resolv.conf'),
      resolverPort: first.port,
      limits: { ...ADMISSION_LIMITS, burstPerSource: 1, ratePerSource: 0.001 },
      log: silentLog,
    });
    // A question to itself would be over the limit and come back as REFUSED.
    expect(rcodeOf(await ask(questionFor('a.example')))).to.equal(Rcode.SERVFAIL);
  });

  it('refuses a source that is over its rate', async () => {
    await forwarder.close();
    forwarder = await start({ ...ADMISSION_LIMITS, burstPerSource: 2, ratePerSource: 0.001 });
    const codes: number[] = [];
    for (let count = 0; count < 4; count += 1) {
      codes.push(rcodeOf(await ask(questionFor('a.example'))));
    }
    expect(codes).to.deep.equal([Rcode.NOERROR, Rcode.NOERROR, Rcode.REFUSED, Rcode.REFUSED]);
  });

  it('refuses what is over the bound of questions under way, and takes more when those end', async () => {
    await forwarder.close();
    forwarder = await start({ ...ADMISSION_LIMITS, pendingPerSourceMax: 3 });
    first.behaviour = () => [];
    second.behaviour = () => [];
    const codes = await Promise.all(
      Array.from({ length: 5 }, async () => rcodeOf(await ask(questionFor('a.example')))),
    );
    expect(codes.filter((code) => code === Rcode.REFUSED)).to.have.length(2);
    expect(codes.filter((code) => code === Rcode.SERVFAIL)).to.have.length(3);
    first.behaviour = (question) => [answerTo(question, '1.1.1.1')];
    expect(addressIn(await ask(questionFor('a.example')))).to.equal('1.1.1.1');
  });

  it('tells that updates and the like are not served', async () => {
    const update = questionFor('a.example');
    update.writeUInt16BE(0x2800, 2);
    expect(rcodeOf(await ask(update))).to.equal(Rcode.NOTIMP);
    expect(first.questions).to.have.length(0);
  });

  it('gives no answer to an answer, to rubbish or to a huge message, and goes on', async () => {
    const socket = createSocket('udp4');
    const answers: Buffer[] = [];
    socket.on('message', (message) => answers.push(message));
    const question = questionFor('a.example');
    const rubbish = [answerTo(question, '6.6.6.6'), Buffer.alloc(0), Buffer.alloc(11, 255)];
    for (const message of [...rubbish, Buffer.concat([question, Buffer.alloc(5_000)])]) {
      socket.send(message, forwarder.port, '127.0.0.9');
    }
    socket.send(questionFor('last.example', 9), forwarder.port, '127.0.0.9');
    await eventually(() => expect(answers).to.have.length(1));
    expect(answers[0]?.readUInt16BE(0)).to.equal(9);
    socket.close();
  });

  it('closes a TCP connection that announces a huge message', async () => {
    const socket = await openTcp();
    socket.write(Buffer.from([0xff, 0xff]));
    await once(socket.resume(), 'close');
  });

  it('bounds the TCP connections of one source', async () => {
    const sockets = await Promise.all(
      Array.from({ length: CONNECTIONS_PER_SOURCE_MAX }, () => openTcp()),
    );
    const extra = connect(forwarder.port, '127.0.0.9').on('error', () => undefined);
    await once(extra.resume(), 'close');
    sockets[0]?.destroy();
    await eventually(async () => {
      expect(addressIn(await askByTcp(questionFor('a.example')))).to.equal('1.1.1.1');
    });
    for (const socket of sockets) socket.destroy();
  });

  it('serves a guest although others have taken all questions', async () => {
    await forwarder.close();
    const limits = { ...ADMISSION_LIMITS, pendingMax: 4, pendingPerSourceMax: 2 };
    forwarder = await start(limits, SERVER_TIMEOUT_MS * 4);
    first.behaviour = (question) =>
      nameIn(question) === 'good.example' ? [answerTo(question, '1.1.1.1')] : [];
    second.behaviour = () => [];
    const greedy = ['127.0.1.1', '127.0.1.1', '127.0.1.2', '127.0.1.2'].map((from) =>
      ask(questionFor('silent.example'), from),
    );
    await eventually(() => expect(first.questions.length).to.be.at.least(greedy.length));

    const answer = await ask(questionFor('good.example'), '127.0.1.3');

    expect(rcodeOf(answer)).to.equal(Rcode.NOERROR);
    const codes = (await Promise.all(greedy)).map(rcodeOf).sort((a, b) => a - b);
    expect(codes).to.deep.equal([Rcode.SERVFAIL, Rcode.SERVFAIL, Rcode.SERVFAIL, Rcode.REFUSED]);
  });

  it('serves a guest although others have taken all TCP connections', async () => {
    const guests = CONNECTIONS_MAX / CONNECTIONS_PER_SOURCE_MAX;
    const greedy = Array.from({ length: CONNECTIONS_MAX }, (_, index) =>
      openTcp(`127.0.1.${(index % guests) + 1}`),
    );
    const sockets = await Promise.all(greedy);
    try {
      const answer = await askByTcp(questionFor('a.example'), '127.0.2.1');
      expect(addressIn(answer)).to.equal('1.1.1.1');
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });

  it('ends at once with questions under way, and twice without complaint', async () => {
    first.behaviour = () => [];
    second.behaviour = () => [];
    const socket = createSocket('udp4');
    socket.send(questionFor('a.example'), forwarder.port, '127.0.0.9');
    await eventually(() => expect(first.questions).to.have.length(1));
    await forwarder.close();
    await forwarder.close();
    socket.close();
  });

  it('says what is wrong when its port is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.8');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const resolvConfPath = join(directory.path, 'resolv.conf');
    try {
      await startDnsForwarder({ address: '127.0.0.8', port, resolvConfPath, log: silentLog });
      expect.fail('did not throw');
    } catch (error) {
      expect(hasReason(error, 'HOST_REQUIREMENT')).to.equal(true);
    } finally {
      taken.close();
    }
  });
});
