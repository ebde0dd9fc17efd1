/** The agent behind a server that only passes calls on (pass-through.ts), in a process of its own. */
import { credentials } from '@grpc/grpc-js';
import { HostAgentServiceService } from '../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { createClient } from '../lib/rpc/client.js';
import type { AgentClient } from './platform.js';
import { startProgram } from './program.js';

export interface Proxy extends AsyncDisposable {
  /** Client of the agent, through the proxy. */
  agent: AgentClient;
}

/** @param socketPath of the agent. */
export async function startProxy(socketPath: string): Promise<Proxy> {
  const program = await startProgram('pass-through', [socketPath]);
  const { address } = program;
  const agent = createClient(HostAgentServiceService, address, credentials.createInsecure());
  return {
    agent,
    [Symbol.asyncDispose]: async () => {
      agent.close();
      await program[Symbol.asyncDispose]();
    },
  };
}
