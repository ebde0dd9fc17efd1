import { Metadata } from '@grpc/grpc-js';
import { expect } from 'chai';
import { silentLog } from '../lib/log/log.js';
import type { CallContext } from '../lib/rpc/call-context.js';
import { addressFromGateway, addressOfPeer, CLIENT_ADDRESS_KEY } from './client-address.js';

describe('the address of a client', () => {
  it('is the peer’s on the public server, whatever the client says', () => {
    expect(addressOfPeer(call('192.0.2.1:4711', '203.0.113.9'))).to.equal('192.0.2.1');
    expect(addressOfPeer(call('2001:db8::1:4711', '203.0.113.9'))).to.equal('2001:db8::1');
  });

  it('is what the gateway says on the internal server', () => {
    expect(addressFromGateway(call('unknown', '203.0.113.9'))).to.equal('203.0.113.9');
    expect(addressFromGateway(call('unknown'))).to.equal('unknown');
  });
});

function call(peer: string, named?: string): CallContext<unknown> {
  const metadata = new Metadata();
  if (named !== undefined) metadata.set(CLIENT_ADDRESS_KEY, named);
  const { signal } = new AbortController();
  const nothing = { log: silentLog, principal: undefined, deadline: undefined, requestId: 'x' };
  return { ...nothing, signal, metadata, peer };
}
