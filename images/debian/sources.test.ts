import { expect } from 'chai';
import { selectSources } from './sources.js';
import { parseStanzas } from './stanzas.js';

describe('sources of the base image', () => {
  it("are Debian's own for the host's release, with all their components", () => {
    const targets = [
      target({ release: 'bookworm', component: 'main' }),
      target({ release: 'bookworm', component: 'contrib' }),
      target({ uri: 'http://mirror/debian-security/', release: 'bookworm-security' }),
    ];
    expect(selectSources(targets, 'bookworm')).to.deep.equal([
      { uri: 'http://mirror/debian/', release: 'bookworm', components: ['main', 'contrib'] },
      {
        uri: 'http://mirror/debian-security/',
        release: 'bookworm-security',
        components: ['main'],
      },
    ]);
  });

  it("keep the suite's name where the host's sources use it", () => {
    const [source] = selectSources(
      [target({ release: 'oldstable', codename: 'bookworm' })],
      'bookworm',
    );
    expect(source?.release).to.equal('oldstable');
  });

  const foreign = {
    'another origin': { origin: 'PostgreSQL' },
    'a source that apt does not trust': { trusted: 'no' },
    'another release': { release: 'trixie' },
    'backports, which nobody asked for': { release: 'bookworm-backports' },
  };
  for (const [title, fields] of Object.entries(foreign)) {
    it(`leave out ${title}`, () => {
      expect(selectSources([target(fields)], 'bookworm')).to.deep.equal([]);
    });
  }
});

interface Fields {
  uri?: string;
  release?: string;
  codename?: string;
  component?: string;
  origin?: string;
  trusted?: string;
}

/** One paragraph as `apt-get indextargets` prints it. */
function target(fields: Fields): Map<string, string> {
  const { uri = 'http://mirror/debian/', release = 'bookworm', component = 'main' } = fields;
  const [stanza] = parseStanzas(`MetaKey: ${component}/binary-amd64/Packages
Codename: ${fields.codename ?? release}
Origin: ${fields.origin ?? 'Debian'}
Trusted: ${fields.trusted ?? 'yes'}
Component: ${component}
Release: ${release}
Repo-URI: ${uri}
Fallback-Of: 
`);
  return stanza ?? new Map();
}
