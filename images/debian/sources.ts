/** Which of the host's apt sources carry Debian's own packages of the host's release. */
import { requirement } from '../failure.js';
import { listTargets } from './apt.js';

export interface DebianSource {
  uri: string;
  /** Suite or codename, as the host's sources name it. */
  release: string;
  components: string[];
}

/** The host's sources that carry Debian's own packages of its own release, and no other. */
export async function debianSources(codename: string): Promise<DebianSource[]> {
  const sources = selectSources(await listTargets(), codename);
  if (sources.some(({ release }) => !/-(updates|security)$/.test(release))) return sources;
  throw requirement(`apt has no source with Debian's own packages for ${codename}`);
}

/** Those of apt's list targets, as sources; see `debianSources`. */
export function selectSources(
  targets: readonly Map<string, string>[],
  codename: string,
): DebianSource[] {
  const wanted = [codename, `${codename}-updates`, `${codename}-security`];
  const sources = new Map<string, DebianSource>();
  for (const target of targets) {
    const [uri, release, component] = ['Repo-URI', 'Release', 'Component'].map((field) =>
      target.get(field),
    );
    if (!uri || !release || !component) continue;
    if (target.get('Origin') !== 'Debian' || target.get('Trusted') !== 'yes') continue;
    if (!wanted.includes(target.get('Codename') ?? '')) continue;
    const known = sources.get(`${uri} ${release}`);
    if (known) known.components.push(component);
    else sources.set(`${uri} ${release}`, { uri, release, components: [component] });
  }
  return [...sources.values()];
}
