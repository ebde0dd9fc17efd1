import { expect } from 'chai';
import { readConfig } from './config.js';

describe('the configuration of the control plane', () => {
  it('has a default for everything', () => {
    const config = readConfig({});
    expect(config).to.deep.include({
      grpcAddress: { host: '127.0.0.1', port: 7071 },
      httpAddress: { host: '127.0.0.1', port: 7070 },
      corsOrigins: [],
      agentSocketPath: '/run/wrenn/agent.sock',
      databaseSchema: 'public',
      databaseUrl: undefined,
      testPage: false,
    });
  });

  it('finds the agent in the run folder, unless its socket is named', () => {
    expect(readConfig({ WRENN_RUN_DIR: '/r' }).agentSocketPath).to.equal('/r/agent.sock');
    expect(readConfig({ WRENN_AGENT_SOCKET: '/a' }).agentSocketPath).to.equal('/a');
  });

  it('lists the origins of other pages', () => {
    const listed = 'https://a.example, http://127.0.0.1:8080';
    expect(readConfig({ WRENN_CORS_ORIGINS: listed }).corsOrigins).to.deep.equal([
      'https://a.example',
      'http://127.0.0.1:8080',
    ]);
  });

  for (const [name, value] of [
    ['DATABASE_URL', 'mysql://host/db'],
    ['DATABASE_SCHEMA', 'public"; drop schema public'],
    ['WRENN_GRPC_ADDRESS', '7071'],
    ['WRENN_HTTP_ADDRESS', 'example.com:80'],
    ['WRENN_CORS_ORIGINS', '*'],
    ['WRENN_CORS_ORIGINS', 'null'],
    ['WRENN_CORS_ORIGINS', 'https://a.example/'],
    ['WRENN_CORS_ORIGINS', 'https://*.example'],
    ['WRENN_CORS_ORIGINS', 'file:///a'],
    ['WRENN_REFLECTION', 'maybe'],
    ['WRENN_TEST_PAGE', 'maybe'],
    ['WRENN_RECONCILE_INTERVAL_MS', '10'],
    ['WRENN_TEAM_SANDBOXES_MAX', '-1'],
    ['WRENN_TEAM_SNAPSHOTS_MAX', '-1'],
    ['WRENN_LOG_LEVEL', 'loud'],
    ['WRENN_GRPC_ADRESS', '127.0.0.1:1'],
  ] as const) {
    it(`refuses ${name}=${value}`, () => {
      expect(() => readConfig({ [name]: value }))
        .to.throw()
        .with.deep.property('metadata', { setting: name });
    });
  }
});
