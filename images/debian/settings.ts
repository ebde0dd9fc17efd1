/** Settings of the host's apt that decide whether and how it reaches its mirrors. */
import { runStep } from '../failure.js';

/** They change whether apt takes a mirror's files; an image's apt needs the same ones. */
const CARRIED_SETTINGS = ['Acquire::Check-Valid-Until', 'Acquire::Check-Date'];
const PROXY_SETTINGS = { http_proxy: 'Acquire::http::Proxy', https_proxy: 'Acquire::https::Proxy' };

/** Settings of the host's apt that an apt with the same sources needs, as `Name "value";`. */
export async function carriedSettings(): Promise<string[]> {
  const settings = await readSettings();
  return CARRIED_SETTINGS.flatMap((name) => {
    const value = settings.get(name);
    return value === undefined ? [] : [`${name} "${value}"`];
  });
}

/** The proxies of the host's apt, as environment variables `name=value`. */
export async function proxyVariables(): Promise<string[]> {
  const settings = await readSettings();
  return Object.entries(PROXY_SETTINGS).flatMap(([variable, name]) => {
    const value = settings.get(name);
    return value ? [`${variable}=${value}`] : [];
  });
}

async function readSettings(): Promise<Map<string, string>> {
  const { stdout } = await runStep('reading the settings of apt', 'apt-config', ['dump']);
  return new Map(
    [...stdout.matchAll(/^(\S+) "(.*)";$/gm)].map(([, name = '', value = '']) => [name, value]),
  );
}
