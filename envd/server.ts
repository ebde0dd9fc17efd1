/** The daemon's gRPC server: three services behind the sandbox's token. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Metadata, Server } from '@grpc/grpc-js';
import { FilesystemServiceService } from '../gen/ts/wrenn/envd/v1/filesystem.js';
import { GuestServiceService } from '../gen/ts/wrenn/envd/v1/guest.js';
import { ProcessServiceService } from '../gen/ts/wrenn/envd/v1/process.js';
import { ENVD_MESSAGE_BYTES_MAX } from '../lib/guest/contract.js';
import { LaunchedProcesses } from '../lib/guest/launched-processes.js';
import type { Log } from '../lib/log/log.js';
import { serve } from '../lib/rpc/service.js';
import { TokenStore } from './auth.js';
import type { EnvdConfig } from './config.js';
import { Connections } from './connections.js';
import { filesystemHandlers } from './filesystem/filesystem-service.js';
import { TemporaryFiles } from './filesystem/temporary-files.js';
import { DirectoryWatches } from './filesystem/watch-directory.js';
import { guestHandlers } from './guest/guest-service.js';
import { Identity } from './guest/identity.js';
import { Coprocess } from './process/coprocess.js';
import { PipeStock } from './process/pipe-stock.js';
import { processHandlers } from './process/process-service.js';
import { startProgram } from './process/start-program.js';

/** Calls at one time on one connection; more than an agent's streams, input to each, and calls. */
const STREAMS_MAX = 1024;

/** Starts to serve. @returns the port that it got. */
export async function startServer(config: EnvdConfig, log: Log): Promise<number> {
  mkdirSync(config.runDirectory, { recursive: true });
  const privateDirectory = join(config.runDirectory, 'envd');
  // What an earlier daemon left in it is nobody's.
  rmSync(privateDirectory, { recursive: true, force: true });
  mkdirSync(privateDirectory, { mode: 0o700 });
  const tokens = new TokenStore(config.runDirectory);
  const identity = new Identity(config.runDirectory);
  const helper = new Coprocess(config.helperPath);
  const temporaryFiles = new TemporaryFiles(config.runDirectory);
  const watches = new DirectoryWatches(config.helperPath);
  const pipes = new PipeStock(config.helperPath);
  const programs = {
    pipes,
    privateDirectory,
    busyboxPath: config.busyboxPath,
    helperPath: config.helperPath,
    sandboxEnvironment: () => identity.environment,
  };
  const launched = new LaunchedProcesses((request) => startProgram(programs, request));
  const connections = new Connections((peer) => launched.expectHoldersToReturn(peer));
  const server = new Server({
    'grpc.max_receive_message_length': ENVD_MESSAGE_BYTES_MAX,
    'grpc.max_send_message_length': ENVD_MESSAGE_BYTES_MAX,
    'grpc.max_concurrent_streams': STREAMS_MAX,
  });

  const withToken = { log, authenticate: requireToken(tokens) };
  serve(
    server,
    GuestServiceService,
    guestHandlers({ config, helper, tokens, identity, connections }),
    {
      log,
      authenticate: requireTokenForGuest(tokens),
    },
  );
  serve(
    server,
    FilesystemServiceService,
    filesystemHandlers({ temporaryFiles, watches }),
    withToken,
  );
  serve(server, ProcessServiceService, processHandlers(programs, launched), withToken);

  // Before anybody is answered: a snapshot that is taken as soon as that happens has it waiting.
  helper.start();
  const port = await connections.listen(server, config.host, config.port);
  pipes.prepare();
  removeLeftBehind(temporaryFiles, log);
  return port;
}

/** Nobody waits for it. */
function removeLeftBehind(files: TemporaryFiles, log: Log): void {
  files.removeLeftBehind().catch((error: unknown) => {
    log.warn('temporary files were left behind', { error });
  });
}

function requireToken(tokens: TokenStore) {
  return (_path: string, metadata: Metadata): undefined => {
    tokens.requireToken(metadata);
  };
}

/** GetHealth is open to all; PostInit and PostRestore are until there is a token. */
function requireTokenForGuest(tokens: TokenStore) {
  return (path: string, metadata: Metadata): undefined => {
    if (path !== GuestServiceService.getHealth.path) tokens.requireTokenOrNone(metadata);
  };
}
