import { expect } from 'chai';
import { WrennError } from '../errors/index.js';
import { Environment } from './environment.js';

describe('Environment', () => {
  it('gives defaults for what is absent or empty', () => {
    const environment = new Environment({ WRENN_LOG_LEVEL: '' });
    expect(environment.string('WRENN_STATE_DIR', '/var')).to.equal('/var');
    expect(environment.choice('WRENN_LOG_LEVEL', ['info'], 'info')).to.equal('info');
    expect(environment.hostPort('WRENN_HTTP_ADDRESS', '[::1]:0')).to.deep.equal({
      host: '::1',
      port: 0,
    });
  });

  const wrong: [string, (environment: Environment) => unknown, string[]][] = [
    [
      'whole numbers',
      (e) => e.integer('X', 1, { min: 0, max: 9 }),
      ['10', '-1', '1.5', '1e1', 'one', ' 1', '0x1'],
    ],
    ['booleans', (e) => e.boolean('X', true), ['yes', 'TRUE', '2']],
    ['choices', (e) => e.choice('X', ['a', 'b'], 'a'), ['c', 'A']],
    [
      'addresses',
      (e) => e.hostPort('X', 'localhost:1'),
      ['7070', 'example:80', '127.0.0.1:65536', '127.0.0.1', '::1:80'],
    ],
  ];
  for (const [kind, read, values] of wrong) {
    it(`refuses ${kind} that are wrong, naming the setting`, () => {
      for (const value of values) {
        expect(() => read(new Environment({ X: value })), value)
          .to.throw(WrennError)
          .with.nested.property('metadata.setting', 'X');
      }
    });
  }

  it('makes paths comparable: absolute, and without a slash at the end', () => {
    const environment = new Environment({ A: '/var/lib/wrenn/', B: 'state/../run' });
    expect(environment.path('A', '/x')).to.equal('/var/lib/wrenn');
    expect(environment.path('B', '/x')).to.equal(`${process.cwd()}/run`);
    expect(environment.path('C', '/x/')).to.equal('/x');
  });

  it('refuses a WRENN_ variable that nothing reads, and no other', () => {
    expect(() => new Environment({ WRENN_HTTP_ADRESS: 'x' }).rejectUnknown())
      .to.throw(WrennError)
      .with.nested.property('metadata.setting', 'WRENN_HTTP_ADRESS');
    new Environment({ PATH: '/bin', WRENN_HTTP_ADDRESS: 'x' }).rejectUnknown();
  });
});
