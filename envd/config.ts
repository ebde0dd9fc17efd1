/**
 * Where the daemon listens and keeps its files. A sandbox runs it without
 * arguments; `--name=value` overrides a setting where it runs on a host.
 */
import { ENVD_PORT } from '../lib/guest/contract.js';

export interface EnvdConfig {
  /** Address to listen on. */
  host: string;
  /** Port to listen on; 0 takes a free one. */
  port: number;
  /** Folder, on a memory filesystem, of what must outlive a restart of the daemon. */
  runDirectory: string;
  /** Static busybox: makes pipes and enters groups. */
  busyboxPath: string;
  /** Static wrenn-guest: the kernel's clock and randomness, terminals, and watches. */
  helperPath: string;
  /** File through which the kernel takes the hostname. */
  hostnamePath: string;
  machineIdPath: string;
  dbusMachineIdPath: string;
}

const DEFAULTS: EnvdConfig = {
  host: '0.0.0.0',
  port: ENVD_PORT,
  runDirectory: '/run/wrenn',
  busyboxPath: '/wrenn/bin/busybox',
  helperPath: '/wrenn/bin/wrenn-guest',
  hostnamePath: '/proc/sys/kernel/hostname',
  machineIdPath: '/etc/machine-id',
  dbusMachineIdPath: '/var/lib/dbus/machine-id',
};

/**
 * Reads the settings.
 * @throws Error for an argument that it does not know.
 */
export function readConfig(args: readonly string[]): EnvdConfig {
  const given = new Map(args.map(splitArgument));
  const take = (name: string, fallback: string): string => {
    const value = given.get(name) ?? fallback;
    given.delete(name);
    return value;
  };
  const config = {
    host: take('host', DEFAULTS.host),
    port: toPort(take('port', String(DEFAULTS.port))),
    runDirectory: take('run-directory', DEFAULTS.runDirectory),
    busyboxPath: take('busybox', DEFAULTS.busyboxPath),
    helperPath: take('helper', DEFAULTS.helperPath),
    hostnamePath: take('hostname-path', DEFAULTS.hostnamePath),
    machineIdPath: take('machine-id-path', DEFAULTS.machineIdPath),
    dbusMachineIdPath: take('dbus-machine-id-path', DEFAULTS.dbusMachineIdPath),
  };
  const [unknown] = given.keys();
  if (unknown !== undefined) throw new Error(`unknown argument: --${unknown}`);
  return config;
}

function splitArgument(argument: string): [string, string] {
  const match = /^--([a-z-]+)=(.*)$/s.exec(argument);
  if (!match) throw new Error(`not an argument of the form --name=value: ${argument}`);
  const [, name = '', value = ''] = match;
  return [name, value];
}

function toPort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error(`no port: ${text}`);
  return port;
}
