/** What pages of other origins are allowed. */
import { expect } from 'chai';
import { type GatewayFixture, http, startGatewayFixture } from './gateway-fixture.js';

const ALLOWED = 'https://a.example';
const PATH = '/v1/sandboxes';

describe('a page of another origin', () => {
  let fixture: GatewayFixture;

  before(async () => {
    const script = {
      sandboxes: { listSandboxes: async () => ({ sandboxes: [], nextPageToken: '' }) },
    };
    fixture = await startGatewayFixture(script, {}, [ALLOWED, 'http://b.example:8080']);
  });
  after(() => fixture.close());

  function preflight(origin: string, path = PATH) {
    const headers = { origin, 'access-control-request-method': 'POST' };
    return http(fixture, 'OPTIONS', path, { headers });
  }

  it('may read answers when it is listed, errors too', async () => {
    for (const origin of [ALLOWED, 'http://b.example:8080']) {
      for (const path of [PATH, '/v1/nothing', '/healthz']) {
        const { headers } = await http(fixture, 'GET', path, { headers: { origin } });
        expect(headers['access-control-allow-origin'], path).to.equal(origin);
        expect(headers['access-control-expose-headers']).to.contain('x-request-id');
        expect(headers.vary).to.equal('origin');
        expect(headers).to.not.have.property('access-control-allow-credentials');
      }
    }
  });

  it('may send the headers that are taken, by the methods of the path', async () => {
    const { status, headers } = await preflight(ALLOWED);
    expect(status).to.equal(200);
    expect(headers).to.include({
      'access-control-allow-origin': ALLOWED,
      'access-control-allow-methods': 'GET, HEAD, OPTIONS, POST',
      'access-control-allow-headers':
        'authorization, x-api-key, x-request-id, x-wrenn-timeout-ms, grpc-timeout, content-type',
      'access-control-max-age': '600',
    });
    expect((await preflight(ALLOWED, '/v1/nothing')).status).to.equal(404);
  });

  for (const origin of ['https://a.example.evil', 'http://a.example', 'null', '*', '']) {
    it(`may read nothing when it is not listed: ${origin || 'an empty one'}`, async () => {
      for (const answer of [
        await http(fixture, 'GET', PATH, { headers: { origin } }),
        await preflight(origin),
      ]) {
        expect(Object.keys(answer.headers).join()).to.not.contain('access-control');
        expect(answer.headers.vary).to.equal('origin');
      }
    });
  }

  it('may read nothing when none is listed', async () => {
    const strict = await startGatewayFixture({});
    try {
      const { headers } = await http(strict, 'GET', '/healthz', { headers: { origin: ALLOWED } });
      expect(Object.keys(headers).join()).to.not.match(/access-control|vary/);
    } finally {
      await strict.close();
    }
  });
});
