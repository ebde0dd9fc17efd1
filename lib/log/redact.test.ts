import { expect } from 'chai';
import { Code, WrennError } from '../errors/index.js';
import { redact } from './redact.js';

describe('redact', () => {
  it('replaces values under secret names at any depth', () => {
    const secrets = {
      authorization: 'a',
      'x-api-key': 'b',
      password: 'c',
      access_token: 'd',
      guestToken: 'e',
      env: { A: 'f' },
    };
    const text = JSON.stringify(redact({ call: { headers: secrets } }));
    for (const value of ['"a"', '"b"', '"c"', '"d"', '"e"', '"f"'])
      expect(text).not.to.contain(value);
  });

  it('replaces keys, tokens and passwords inside of texts and errors', () => {
    const key = `wrn_key_${'A1b2'.repeat(10)}`;
    const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl';
    const url = 'postgres://wrenn:hunter2@db.internal:5432/wrenn';
    const error = new Error(`login with ${key} and ${jwt} at ${url}`, {
      cause: new Error(`inner ${key}`),
    });
    const text = JSON.stringify(redact({ error }));
    for (const secret of [key, jwt, 'hunter2']) expect(text).not.to.contain(secret);
    expect(text).to.contain('db.internal');
  });

  it('keeps what an operator needs of an error: reason, metadata, stack and the chain of causes', () => {
    const error = new WrennError(Code.UNAVAILABLE, 'VMM_EXITED', 'the virtual machine ended', {
      metadata: { sandbox_id: 'abc' },
      cause: new Error('killed by SIGKILL'),
    });
    const logged = redact(error) as Record<string, unknown>;
    expect(logged).to.include({ reason: 'VMM_EXITED', code: Code.UNAVAILABLE });
    expect(logged.metadata).to.deep.equal({ sandbox_id: 'abc' });
    expect(logged.stack).to.be.a('string');
    expect(logged.cause).to.have.property('message', 'killed by SIGKILL');
  });

  it('ends for a value that contains itself', () => {
    const value: Record<string, unknown> = {};
    value.self = value;
    expect(JSON.stringify(redact(value))).to.contain('[too deep]');
  });
});
