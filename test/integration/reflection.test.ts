import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import {
  type ClientDuplexStream,
  credentials,
  type GrpcObject,
  loadPackageDefinition,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { expect } from 'chai';
import { Sandbox } from '../../gen/ts/wrenn/v1/sandbox.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { descriptors } from '../../lib/rpc/descriptors.js';
import { eventually } from '../support/eventually.js';
import { GRPCURL_INSTALL_TIMEOUT_MS, type Grpcurl, installGrpcurl } from '../support/grpcurl.js';
import { requireNeed } from '../support/requirements.js';
import { type GatewayFixture, startGatewayFixture } from './gateway-fixture.js';

const PUBLIC_FILES = [...descriptors().registry.files].filter(
  (file) => file.proto.package === 'wrenn.v1',
);
const PUBLIC_SERVICES = PUBLIC_FILES.flatMap((file) => file.services);
const VERSIONS = ['v1', 'v1alpha'] as const;

function startServices(): Promise<GatewayFixture> {
  return startGatewayFixture({
    sandboxes: {
      getSandbox: async (_context, { sandboxId }) => {
        if (sandboxId === 'none') {
          throw new WrennError(Code.NOT_FOUND, 'SANDBOX_NOT_FOUND', 'there is no such sandbox');
        }
        return Sandbox.fromPartial({ sandboxId, createdAt: { seconds: 1767323045n, nanos: 0 } });
      },
    },
  });
}

describe('grpcurl without proto files', () => {
  let fixture: GatewayFixture | undefined;
  let grpcurl: Grpcurl;

  before(async function () {
    this.timeout(GRPCURL_INSTALL_TIMEOUT_MS);
    requireNeed(this, 'go');
    grpcurl = await installGrpcurl();
    fixture = await startServices();
  });
  after(() => fixture?.close());

  function call(flags: string[], ...command: string[]) {
    return grpcurl('-plaintext', ...flags, fixture?.grpcAddress ?? '', ...command);
  }

  async function output(flags: string[], ...command: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await call(flags, ...command);
    expect(exitCode, stderr).to.equal(0);
    return stdout;
  }

  it('lists the public services and no others', async () => {
    const services = (await output([], 'list')).trim().split('\n');
    expect(services.sort()).to.deep.equal(
      [
        ...PUBLIC_SERVICES.map(({ typeName }) => typeName),
        'grpc.health.v1.Health',
        'grpc.reflection.v1.ServerReflection',
        'grpc.reflection.v1alpha.ServerReflection',
      ].sort(),
    );
  });

  for (const service of PUBLIC_SERVICES) {
    it(`describes ${service.typeName} and its messages`, async () => {
      const described = await output([], 'describe', service.typeName);
      for (const { name, input, output: answer } of service.methods) {
        expect(described).to.contain(`rpc ${name} `);
        for (const { typeName } of [input, answer]) {
          expect(await output([], 'describe', typeName)).to.contain('message ');
        }
      }
    }).timeout(60_000);
  }

  it('describes every message and enum of the public files', async () => {
    const types = PUBLIC_FILES.flatMap((file) => [...file.messages, ...file.enums]);
    for (const { typeName } of types) {
      expect(await output(['-msg-template'], 'describe', typeName)).to.contain(typeName);
    }
    expect(types.length).to.be.greaterThan(20);
  }).timeout(120_000);

  it('describes health, reflection and error details', async () => {
    for (const symbol of [
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'google.rpc.ErrorInfo',
      'google.rpc.Status',
    ]) {
      expect(await output([], 'describe', symbol)).to.contain(symbol);
    }
  });

  it('calls a method whose answer holds a well-known type', async () => {
    const flags = ['-d', '{"sandbox_id":"abc"}'];
    const answer = JSON.parse(await output(flags, 'wrenn.v1.SandboxService/GetSandbox'));
    expect(answer).to.deep.equal({ sandboxId: 'abc', createdAt: '2026-01-02T03:04:05Z' });
  });

  it('shows the details of an error', async () => {
    const flags = ['-format-error', '-d', '{"sandbox_id":"none"}'];
    const { stderr } = await call(flags, 'wrenn.v1.SandboxService/GetSandbox');
    const { code, details } = JSON.parse(stderr);
    expect(code).to.equal(Code.NOT_FOUND);
    expect(details[0]).to.deep.include({
      '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
      reason: 'SANDBOX_NOT_FOUND',
    });
  });

  it('shows which field breaks a rule', async () => {
    const flags = ['-format-error', '-d', '{"sandbox_id":"../x"}'];
    const { stderr } = await call(flags, 'wrenn.v1.SandboxService/GetSandbox');
    const violations = JSON.parse(stderr).details[1].fieldViolations;
    expect(violations[0]).to.deep.include({ field: 'sandbox_id', reason: 'string.pattern' });
  });

  it('reaches every public method', async () => {
    const methods = PUBLIC_SERVICES.flatMap(({ typeName, methods }) =>
      methods.map(({ name }) => `${typeName}/${name}`),
    );
    for (const method of methods) {
      const { exitCode, stderr } = await call(['-format-error', '-d', '{}'], method);
      expect(exitCode, stderr).to.be.oneOf([64 + Code.INVALID_ARGUMENT, 64 + Code.UNIMPLEMENTED]);
      expect(JSON.parse(stderr).details[0], stderr).to.have.property('reason');
    }
  }).timeout(60_000);

  it('asks for health', async () => {
    expect(await output([], 'grpc.health.v1.Health/Check')).to.contain('SERVING');
  });

  it('learns nothing of the contracts inside', async () => {
    for (const symbol of [
      'wrenn.hostagent.v1.HostAgentService',
      'wrenn.hostagent.v1.CreateSandboxRequest',
      'wrenn.envd.v1.ProcessService',
    ]) {
      expect((await call([], 'describe', symbol)).exitCode, symbol).to.not.equal(0);
    }
  });
});

describe('reflection', () => {
  let fixture: GatewayFixture;

  before(async () => {
    fixture = await startServices();
  });
  after(() => fixture.close());

  interface ReflectionClient {
    ServerReflectionInfo(): ClientDuplexStream<object, ReflectionAnswer>;
    close(): void;
  }
  interface ReflectionAnswer {
    listServicesResponse?: { service: { name: string }[] };
    fileDescriptorResponse?: { fileDescriptorProto: Buffer[] };
    errorResponse?: { errorCode: number };
  }

  function connect(version: (typeof VERSIONS)[number]): ReflectionClient {
    const main = createRequire(import.meta.url).resolve('@grpc/reflection');
    const folder = join(dirname(main), '..', 'proto', 'grpc', 'reflection', version);
    const loaded = loadPackageDefinition(loadSync(join(folder, 'reflection.proto')));
    const reflection = (loaded.grpc as GrpcObject).reflection as GrpcObject;
    const constructors = reflection[version] as Record<string, ServiceClientConstructor>;
    const Client = constructors.ServerReflection as ServiceClientConstructor;
    return new Client(fixture.target, credentials.createInsecure()) as unknown as ReflectionClient;
  }

  async function ask(version: (typeof VERSIONS)[number], request: object) {
    const client = connect(version);
    try {
      const stream = client.ServerReflectionInfo();
      stream.write(request);
      stream.end();
      const answers: ReflectionAnswer[] = [];
      for await (const answer of stream) answers.push(answer as ReflectionAnswer);
      return answers[0];
    } finally {
      client.close();
    }
  }

  for (const version of VERSIONS) {
    it(`answers in ${version}`, async () => {
      const answer = await ask(version, { listServices: '*' });
      const names = answer?.listServicesResponse?.service.map(({ name }) => name);
      expect(names).to.include('wrenn.v1.SandboxService');
      expect(names?.filter((name) => /hostagent|envd/.test(name))).to.deep.equal([]);
    });

    it(`serves every import of a public file, and no file inside, in ${version}`, async () => {
      const fileByName = (name: string) => ask(version, { fileByFilename: name });
      for (const file of PUBLIC_FILES) {
        for (const name of [file.proto.name, ...file.proto.dependency]) {
          const answer = await fileByName(name);
          expect(answer?.fileDescriptorResponse?.fileDescriptorProto, name).to.not.equal(undefined);
        }
      }
      for (const name of ['wrenn/hostagent/v1/host_agent.proto', 'wrenn/envd/v1/process.proto']) {
        expect((await fileByName(name))?.errorResponse?.errorCode, name).to.equal(Code.NOT_FOUND);
      }
    });

    it(`answers what it cannot read with an error in ${version}`, async () => {
      const symbol = await ask(version, { fileContainingSymbol: 'wrenn.v1.Nothing' });
      expect(symbol?.errorResponse?.errorCode).to.equal(Code.NOT_FOUND);
      expect((await ask(version, {}))?.errorResponse?.errorCode).to.equal(Code.UNIMPLEMENTED);
    });
  }

  it('survives clients that go away in the middle', async () => {
    for (let turn = 0; turn < 20; turn += 1) {
      const client = connect('v1');
      const stream = client.ServerReflectionInfo();
      stream.on('error', () => undefined);
      for (let request = 0; request < 20; request += 1) {
        stream.write({ fileContainingSymbol: 'buf.validate.FieldRules' });
      }
      await new Promise((resolve) => stream.once('data', resolve));
      if (turn % 2 === 0) stream.cancel();
      client.close();
    }
    await eventually(async () => {
      expect(await ask('v1', { listServices: '*' })).to.have.property('listServicesResponse');
    });
  });
});
