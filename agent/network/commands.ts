/**
 * The few ways in which this folder changes the host. All of it goes through
 * here, in as few process launches as can be: a test wraps these commands to
 * count them and to make any one of them fail.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { WrennError } from '../../lib/errors/index.js';
import { RunError, type RunOptions, run } from '../../lib/process/run.js';
import { hostRequirement } from './errors.js';

/** Where `ip netns` keeps its namespaces. */
export const NAMESPACE_DIRECTORY = '/run/netns';
/** Debian packages of the programs, for the message when one is missing. */
const PACKAGES: Record<string, string> = { ip: 'iproute2', nft: 'nftables', nsenter: 'util-linux' };

export interface CommandOptions {
  /** Runs in this namespace instead of the host's. */
  namespace?: string;
  /** Goes on after a command that fails; the error then names all of them. */
  keepGoing?: boolean;
  signal?: AbortSignal | undefined;
}

export interface NetworkCommands {
  /** Runs `ip` commands, one a line, in one process. */
  ip(lines: readonly string[], options?: CommandOptions): Promise<void>;
  /** Asks `ip` for JSON. */
  ipQuery(args: readonly string[], options?: CommandOptions): Promise<unknown>;
  /** Loads rules on the host, all or none. */
  nft(ruleset: string): Promise<void>;
  /** Asks `nft` for JSON. */
  nftQuery(args: readonly string[], options?: CommandOptions): Promise<unknown>;
  /** Switches IPv6 off and forwarding on in a namespace and loads its rules, in one process. */
  confine(namespace: string, ruleset: string, signal?: AbortSignal): Promise<void>;
  /** Writes a kernel setting, such as `net/ipv4/ip_forward`. */
  setKernelSetting(name: string, value: string): Promise<void>;
}

/** A kernel without IPv6 lacks the first files, which is as good. */
const CONFINE_SCRIPT = `
for file in /proc/sys/net/ipv6/conf/all/disable_ipv6 /proc/sys/net/ipv6/conf/default/disable_ipv6; do
  [ ! -e "$file" ] || echo 1 > "$file" || exit
done
echo 1 > /proc/sys/net/ipv4/ip_forward || exit
exec nft -f -`;

export const hostCommands: NetworkCommands = {
  async ip(lines, { namespace, keepGoing, signal } = {}) {
    const args = [
      ...(namespace ? ['-n', namespace] : []),
      ...(keepGoing ? ['-force'] : []),
      ...['-batch', '-'],
    ];
    await launch('ip', args, { input: `${lines.join('\n')}\n`, signal });
  },

  async ipQuery(args, { namespace, signal } = {}) {
    const place = namespace ? ['-n', namespace] : [];
    return parseJson(await launch('ip', [...place, '-j', ...args], { signal }));
  },

  async nft(ruleset) {
    await launch('nft', ['-f', '-'], { input: ruleset });
  },

  async nftQuery(args, { namespace, signal } = {}) {
    const command = ['nft', '-j', ...args];
    const [program = 'nft', ...rest] = namespace ? [...entering(namespace), ...command] : command;
    return parseJson(await launch(program, rest, { signal }));
  },

  async confine(namespace, ruleset, signal) {
    const [program = 'nsenter', ...args] = [...entering(namespace), 'sh', '-c', CONFINE_SCRIPT];
    await launch(program, args, { input: ruleset, signal });
  },

  async setKernelSetting(name, value) {
    await writeFile(join('/proc/sys', name), value);
  },
};

function entering(namespace: string): string[] {
  return ['nsenter', `--net=${join(NAMESPACE_DIRECTORY, namespace)}`, '--'];
}

async function launch(program: string, args: string[], options: RunOptions): Promise<string> {
  try {
    return (await run(program, args, options)).stdout;
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof RunError && error.code === 'ENOENT') throw missing(program, error);
    throw error;
  }
}

/** `ip -j` prints nothing at all for an empty list. */
function parseJson(output: string): unknown {
  return output.trim() === '' ? [] : JSON.parse(output);
}

function missing(program: string, cause: RunError): WrennError {
  return hostRequirement(
    `the program "${program}" is missing; install the package ${PACKAGES[program] ?? program}`,
    { cause },
  );
}
