import { expect } from 'chai';
import { HealthService } from '../../gen/ts/grpc/health/v1/health.js';
import { AuthServiceService } from '../../gen/ts/wrenn/v1/auth.js';
import { SandboxServiceService } from '../../gen/ts/wrenn/v1/sandbox.js';
import { readAuthPolicy } from './policy.js';

describe('readAuthPolicy', () => {
  it('reads the credential of each method from its proto', () => {
    const policy = readAuthPolicy([AuthServiceService, SandboxServiceService]);
    expect(policy.get('/wrenn.v1.AuthService/LogIn')).to.equal('none');
    expect(policy.get('/wrenn.v1.AuthService/GetMe')).to.equal('user');
    expect(policy.get('/wrenn.v1.SandboxService/DeleteSandbox')).to.equal('api-key');
  });

  it('refuses a service with a method that names none, so that no server starts with it', () => {
    expect(() => readAuthPolicy([HealthService])).to.throw('/grpc.health.v1.Health/');
  });
});
