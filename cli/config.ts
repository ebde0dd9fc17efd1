/** What the command line takes from the environment. Nothing else in cli/ reads it. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { config as readDotenv } from 'dotenv';
import { DEFAULT_ADDRESS } from '../clients/typescript/index.js';
import { Environment, type HostPort } from '../lib/config/environment.js';
import { packageRoot } from '../lib/files/package-root.js';
import { reachableAddress } from './address.js';

/** For the commands that call the API. */
export interface ClientConfig {
  /** gRPC address of the control plane. */
  address: string;
  /** API key that goes before a stored one. */
  apiKey: string | undefined;
  /** Folder of the stored credentials. */
  configDirectory: string;
}

/** For the commands that run the platform on this machine. */
export interface PlatformConfig {
  stateDirectory: string;
  runDirectory: string;
  imagesDirectory: string;
  httpAddress: HostPort;
  grpcAddress: HostPort;
  agentSocketPath: string;
  /** Undefined: the embedded Postgres. */
  databaseUrl: string | undefined;
  /** Needs no images and no root. */
  fakeDriver: boolean;
  /** Variables for the daemons. */
  environment: NodeJS.ProcessEnv;
}

/** The environment of the process, over that of the project's `.env` file. */
export function loadEnvironment(values: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const merged = { ...values };
  readDotenv({ path: join(packageRoot(), '.env'), processEnv: merged as never, quiet: true });
  return merged;
}

export function readClientConfig(values: NodeJS.ProcessEnv): ClientConfig {
  const environment = new Environment(values);
  const configHome = environment.string('XDG_CONFIG_HOME', join(homedir(), '.config'));
  return {
    address:
      environment.optional('WRENN_ADDRESS') ??
      reachableAddress(environment.hostPort('WRENN_GRPC_ADDRESS', DEFAULT_ADDRESS)),
    apiKey: environment.optional('WRENN_API_KEY'),
    configDirectory: environment.string('WRENN_CONFIG_DIR', join(configHome, 'wrenn')),
  };
}

/** @throws WrennError naming the setting that is wrong. */
export function readPlatformConfig(values: NodeJS.ProcessEnv): PlatformConfig {
  const environment = new Environment(values);
  const runDirectory = environment.path('WRENN_RUN_DIR', '/run/wrenn');
  const config = {
    stateDirectory: environment.path('WRENN_STATE_DIR', '/var/lib/wrenn'),
    runDirectory,
    imagesDirectory: environment.path('WRENN_IMAGES_DIR', '/var/lib/wrenn/images'),
    httpAddress: environment.hostPort('WRENN_HTTP_ADDRESS', '127.0.0.1:7070'),
    grpcAddress: environment.hostPort('WRENN_GRPC_ADDRESS', DEFAULT_ADDRESS),
    agentSocketPath: environment.path('WRENN_AGENT_SOCKET', join(runDirectory, 'agent.sock')),
    databaseUrl: environment.optional('DATABASE_URL'),
    fakeDriver: environment.optional('WRENN_VMM_DRIVER') === 'fake',
    environment: values,
  };
  environment.rejectUnknown();
  return config;
}
