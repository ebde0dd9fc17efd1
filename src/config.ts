/** The control plane's configuration, out of the environment. Nothing else reads it. */
import { join } from 'node:path';
import { Environment, type HostPort } from '../lib/config/environment.js';
import { Code, WrennError } from '../lib/errors/index.js';
import { LOG_LEVELS, type LogLevel } from '../lib/log/winston-log.js';

const EXACT_ORIGIN = /^https?:\/\/[^*]+$/;
const SCHEMA_NAME = /^[a-z_][a-z0-9_]{0,62}$/;

export interface ControlPlaneConfig {
  stateDirectory: string;
  runDirectory: string;
  grpcAddress: HostPort;
  httpAddress: HostPort;
  /** Origins whose pages may read what the gateway answers. */
  corsOrigins: string[];
  /** Undefined: the embedded Postgres. */
  databaseUrl: string | undefined;
  databaseSchema: string;
  /** Undefined: one that is made once and kept in the state folder. */
  jwtSecret: string | undefined;
  agentSocketPath: string;
  reflection: boolean;
  /** Whether the gateway serves the test page. */
  testPage: boolean;
  reconcileIntervalMs: number;
  reconcileGraceMs: number;
  teamSandboxesMax: number;
  teamSnapshotsMax: number;
  logLevel: LogLevel;
}

/** @throws WrennError naming the setting that is wrong. */
export function readConfig(values: NodeJS.ProcessEnv = process.env): ControlPlaneConfig {
  const environment = new Environment(values);
  const runDirectory = environment.path('WRENN_RUN_DIR', '/run/wrenn');
  const config: ControlPlaneConfig = {
    stateDirectory: environment.path('WRENN_STATE_DIR', '/var/lib/wrenn'),
    runDirectory,
    grpcAddress: environment.hostPort('WRENN_GRPC_ADDRESS', '127.0.0.1:7071'),
    httpAddress: environment.hostPort('WRENN_HTTP_ADDRESS', '127.0.0.1:7070'),
    corsOrigins: corsOrigins(environment),
    databaseUrl: databaseUrl(environment),
    databaseSchema: schemaName(environment),
    jwtSecret: environment.optional('WRENN_JWT_SECRET'),
    agentSocketPath: environment.path('WRENN_AGENT_SOCKET', join(runDirectory, 'agent.sock')),
    reflection: environment.boolean('WRENN_REFLECTION', true),
    testPage: environment.boolean('WRENN_TEST_PAGE', false),
    reconcileIntervalMs: environment.integer('WRENN_RECONCILE_INTERVAL_MS', 30_000, {
      min: 100,
      max: 3_600_000,
    }),
    reconcileGraceMs: environment.integer('WRENN_RECONCILE_GRACE_MS', 60_000, {
      min: 0,
      max: 86_400_000,
    }),
    teamSandboxesMax: environment.integer('WRENN_TEAM_SANDBOXES_MAX', 1000, {
      min: 1,
      max: 1_000_000,
    }),
    teamSnapshotsMax: environment.integer('WRENN_TEAM_SNAPSHOTS_MAX', 100, {
      min: 0,
      max: 1_000_000,
    }),
    logLevel: environment.choice('WRENN_LOG_LEVEL', LOG_LEVELS, 'info'),
  };
  environment.rejectUnknown();
  return config;
}

function databaseUrl(environment: Environment): string | undefined {
  const url = environment.optional('DATABASE_URL');
  if (url === undefined || /^postgres(?:ql)?:\/\//.test(url)) return url;
  throw invalid('DATABASE_URL', 'must start with postgres://');
}

function corsOrigins(environment: Environment): string[] {
  const origins = environment.string('WRENN_CORS_ORIGINS', '').split(',');
  return origins
    .map((origin) => origin.trim())
    .filter(Boolean)
    .map((origin) => {
      const isExact = URL.canParse(origin) && new URL(origin).origin === origin;
      if (isExact && EXACT_ORIGIN.test(origin)) return origin;
      throw invalid('WRENN_CORS_ORIGINS', 'must list origins, such as https://a.example:8443');
    });
}

function schemaName(environment: Environment): string {
  const name = environment.string('DATABASE_SCHEMA', 'public');
  if (SCHEMA_NAME.test(name)) return name;
  throw invalid('DATABASE_SCHEMA', 'must be of lower-case letters, digits and _, at most 63');
}

function invalid(setting: string, problem: string): WrennError {
  return new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', `${setting} ${problem}`, {
    metadata: { setting },
  });
}
