/** One HTTP/2 connection to a guest daemon, shared by the clients of its three services. */
import { Channel, type ChannelOptions, credentials } from '@grpc/grpc-js';
import { FilesystemServiceService } from '../../gen/ts/wrenn/envd/v1/filesystem.js';
import { GuestServiceService } from '../../gen/ts/wrenn/envd/v1/guest.js';
import { ProcessServiceService } from '../../gen/ts/wrenn/envd/v1/process.js';
import { ENVD_MESSAGE_BYTES_MAX } from '../../lib/guest/contract.js';
import { createClient, type RpcClient } from '../../lib/rpc/client.js';
import { GuestSockets } from './guest-sockets.js';

const CHANNEL_OPTIONS: ChannelOptions = {
  // A guest is reached directly whatever the agent's environment says about proxies.
  'grpc.enable_http_proxy': 0,
  // A new connection for a new channel, never one that another channel has given up on.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.max_send_message_length': ENVD_MESSAGE_BYTES_MAX,
  // Calls that wait for a guest that is gone end after both times; a busy emulated one gets them.
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 20_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
};

export interface GuestConnection {
  guest: RpcClient<typeof GuestServiceService>;
  processes: RpcClient<typeof ProcessServiceService>;
  files: RpcClient<typeof FilesystemServiceService>;
  /** Ends the connection and every call on it. */
  close(): void;
}

/**
 * Makes a connection, and begins to open it.
 * @param receiveBytesMax what a guest sends is read only up to this length, whatever length it
 *   announces.
 */
export function createConnection(
  target: string,
  receiveBytesMax = ENVD_MESSAGE_BYTES_MAX,
): GuestConnection {
  const insecure = credentials.createInsecure();
  const sockets = new GuestSockets();
  const channel = sockets.own(() => {
    const limit = { 'grpc.max_receive_message_length': receiveBytesMax };
    const made = new Channel(target, insecure, { ...CHANNEL_OPTIONS, ...limit });
    made.getConnectivityState(true);
    return made;
  });
  const options = { channelOverride: channel };
  return {
    guest: createClient(GuestServiceService, target, insecure, options),
    processes: createClient(ProcessServiceService, target, insecure, options),
    files: createClient(FilesystemServiceService, target, insecure, options),
    close: () => {
      channel.close();
      sockets.destroy();
    },
  };
}
