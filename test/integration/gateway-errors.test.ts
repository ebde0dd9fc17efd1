import { ChannelCredentials } from '@grpc/grpc-js';
import { expect } from 'chai';
import { type GetSandboxRequest, SandboxServiceService } from '../../gen/ts/wrenn/v1/sandbox.js';
import { Code, type Reason, toStatus, WrennError } from '../../lib/errors/index.js';
import { createClient } from '../../lib/rpc/client.js';
import { errorInfo, type GatewayFixture, http, startGatewayFixture } from './gateway-fixture.js';

/** What a service may throw, and what HTTP makes of it. */
const THROWN: [WrennError, number][] = [
  [new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', 'bad'), 400],
  [new WrennError(Code.UNAUTHENTICATED, 'CREDENTIAL_MISSING', 'who'), 401],
  [new WrennError(Code.PERMISSION_DENIED, 'CREDENTIAL_INVALID', 'not you'), 403],
  [new WrennError(Code.NOT_FOUND, 'SANDBOX_NOT_FOUND', 'none'), 404],
  [new WrennError(Code.ALREADY_EXISTS, 'EMAIL_TAKEN', 'taken'), 409],
  [new WrennError(Code.ABORTED, 'SANDBOX_CONFLICT', 'lost'), 409],
  [
    new WrennError(Code.FAILED_PRECONDITION, 'SANDBOX_STATE', 'wrong', {
      metadata: { state: 'DELETING' },
    }),
    400,
  ],
  [new WrennError(Code.RESOURCE_EXHAUSTED, 'TOO_MANY_LOGINS', 'later', { retryAfterSec: 7 }), 429],
  [new WrennError(Code.RESOURCE_EXHAUSTED, 'GUEST_DISK_FULL', 'full'), 507],
  [new WrennError(Code.RESOURCE_EXHAUSTED, 'HOST_DISK_FULL', 'full'), 507],
  [new WrennError(Code.RESOURCE_EXHAUSTED, 'BODY_TOO_LARGE', 'large'), 413],
  [new WrennError(Code.FAILED_PRECONDITION, 'FILE_TOO_LARGE', 'large'), 400],
  [new WrennError(Code.OUT_OF_RANGE, 'INVALID_REQUEST', 'over'), 400],
  [new WrennError(Code.UNAVAILABLE, 'HOST_UNAVAILABLE', 'down', { retryAfterSec: 1 }), 503],
  [new WrennError(Code.DEADLINE_EXCEEDED, 'COMMAND_TIMEOUT', 'slow'), 504],
  [new WrennError(Code.CANCELLED, 'CANCELLED', 'gone'), 499],
  [new WrennError(Code.DATA_LOSS, 'INTERNAL', 'lost'), 500],
  [new WrennError(Code.UNIMPLEMENTED, 'UNSPECIFIED', 'no'), 501],
];

describe('an error over HTTP', () => {
  let fixture: GatewayFixture;
  let thrown: unknown;

  before(async () => {
    fixture = await startGatewayFixture({
      sandboxes: {
        getSandbox: async () => {
          throw thrown;
        },
        listSandboxes: (context) =>
          new Promise((_, reject) => {
            context.signal.addEventListener('abort', () => reject(context.signal.reason));
          }),
      },
    });
  });
  after(() => fixture.close());

  /** The status that gRPC sends, in the JSON form of HTTP. */
  async function overGrpc(request: GetSandboxRequest, requestId: string) {
    const client = createClient(
      SandboxServiceService,
      fixture.target,
      ChannelCredentials.createInsecure(),
    );
    try {
      await client.getSandbox(request, {
        timeoutMs: 5000,
        metadata: { 'x-request-id': requestId },
      });
      return undefined;
    } catch (error) {
      return error as WrennError;
    } finally {
      client.close();
    }
  }

  for (const [error, httpStatus] of THROWN) {
    const name = `${Code[error.code]} ${error.reason}`;
    it(`says of ${name} what gRPC says, as ${httpStatus}`, async () => {
      thrown = error;
      const headers = { 'x-request-id': 'same' };
      const answer = await http(fixture, 'GET', '/v1/sandboxes/abc', { headers });
      const received = await overGrpc({ sandboxId: 'abc' }, 'same');
      expect(answer.status).to.equal(httpStatus);
      expect(answer.json.code).to.equal(received?.code).and.to.equal(error.code);
      expect(answer.json.message).to.equal(received?.message).and.to.equal(error.message);
      expect(errorInfo(answer)).to.deep.include({
        reason: received?.reason,
        domain: 'wrenn',
        metadata: received?.metadata,
      });
      expect(answer.json.details).to.have.lengthOf(toStatus(received).details.length);
      expect(received?.metadata).to.deep.equal({ ...error.metadata, request_id: 'same' });
      expect(answer.headers['retry-after']).to.equal(received?.retryAfterSec?.toString());
    });
  }

  it('names a challenge with 401', async () => {
    thrown = new WrennError(Code.UNAUTHENTICATED, 'CREDENTIAL_MISSING', 'who');
    const answer = await http(fixture, 'GET', '/v1/sandboxes/abc');
    expect(answer.headers['www-authenticate']).to.match(/^Bearer /);
  });

  it('names the fields that break a rule, on both protocols', async () => {
    const answer = await http(fixture, 'GET', '/v1/sandboxes/NOT-AN-ID');
    const received = await overGrpc({ sandboxId: 'NOT-AN-ID' }, 'x');
    const type = 'type.googleapis.com/google.rpc.BadRequest';
    const details: { '@type': string }[] = answer.json.details;
    expect(answer.status).to.equal(400);
    expect(details.find((detail) => detail['@type'] === type)).to.deep.equal({
      '@type': type,
      field_violations: received?.violations.map(({ field, description, rule }) => ({
        field,
        description,
        reason: rule,
      })),
    });
    expect(received?.violations).to.have.lengthOf(1);
  });

  it('says of a fault of ours only where to find it', async () => {
    thrown = new Error('connect ECONNREFUSED /run/wrenn/secret.sock');
    const answer = await http(fixture, 'GET', '/v1/sandboxes/abc');
    expect(answer.status).to.equal(500);
    expect(answer.body.toString()).to.not.contain('secret');
    expect(errorInfo(answer)).to.deep.include({ reason: 'INTERNAL' });
    expect(errorInfo(answer).metadata.request_id).to.equal(answer.headers['x-request-id']);
  });

  it('reports a call that took longer than the caller waits', async () => {
    const headers = { 'x-wrenn-timeout-ms': '100' };
    const answer = await http(fixture, 'GET', '/v1/sandboxes', { headers });
    expect(answer.status).to.equal(504);
    expect(errorInfo(answer).reason).to.equal('CANCELLED');
    const zero = await http(fixture, 'GET', '/v1/sandboxes', {
      headers: { 'x-wrenn-timeout-ms': '0' },
    });
    expect(zero.status).to.equal(504);
  });

  it('does not log again what the service has logged', async () => {
    thrown = new WrennError(Code.NOT_FOUND, 'SANDBOX_NOT_FOUND', 'none');
    fixture.logLines.length = 0;
    await http(fixture, 'GET', '/v1/sandboxes/abc');
    await http(fixture, 'GET', '/nothing');
    const lines = fixture.logLines.map(({ level, http_status: status }) => [level, status]);
    expect(lines).to.deep.equal([
      ['debug', 404],
      ['info', 404],
    ]);
  });
});

describe('the gateway without services', () => {
  it('answers 503 that says when to try again, and nothing of sockets', async () => {
    const fixture = await startGatewayFixture({});
    try {
      fixture.stopServices();
      const answer = await http(fixture, 'GET', '/v1/sandboxes');
      expect(answer.status).to.equal(503);
      expect(answer.headers['retry-after']).to.equal('1');
      expect(errorInfo(answer).reason).to.equal('SHUTTING_DOWN' satisfies Reason);
      expect(answer.body.toString()).to.not.match(/sock|ECONN|ENOENT|connect/);
      expect((await http(fixture, 'GET', '/readyz')).status).to.equal(503);
      expect((await http(fixture, 'GET', '/healthz')).status).to.equal(200);
    } finally {
      await fixture.close();
    }
  });
});
