/** The messages of the API as the page reads them: JSON with the names of the protos. */

export interface Session {
  user: { email: string };
  access_token: string;
}

export interface ApiKey {
  api_key_id: string;
  name: string;
  key_prefix: string;
  created_at?: string;
  last_used?: string;
}

export interface Sandbox {
  sandbox_id: string;
  template: string;
  state: string;
  state_reason: string;
  vcpus: number;
  memory_mb: number;
  timeout_sec: number;
  on_timeout: string;
  metadata: Record<string, string>;
  guest_ip: string;
  created_at?: string;
  last_active_at?: string;
}

export interface ForkResult {
  sandbox?: Sandbox;
  error?: { reason: string; message: string };
}

export interface Snapshot {
  snapshot_id: string;
  name: string;
  type: string;
  sandbox_id: string;
  vcpus: number;
  memory_mb: number;
  size_bytes: number;
  created_at?: string;
}

export interface ExecResult {
  stdout: string;
  stderr: string;
  stdout_truncated: boolean;
  stderr_truncated: boolean;
  exit_code: number;
  signal: string;
  duration_ms: number;
}

export interface Exited {
  exit_code: number;
  signal: string;
  reason: string;
  duration_ms: number;
}

export interface Process {
  process_id: string;
  pid: number;
  cmd: string;
  args: string[];
  user: string;
  pty: boolean;
  exited?: Exited;
  first_offset: number;
  next_offset: number;
}

/** One piece of output; `data` is base64. */
export interface Output {
  offset: number;
  data: string;
}

export interface ProcessEvent {
  started?: { process_id: string; pid: number };
  stdout?: Output;
  stderr?: Output;
  pty?: Output;
  exited?: Exited;
  /** The last message of a stream that failed. */
  error?: Status;
}

export interface FileInfo {
  name: string;
  path: string;
  type: string;
  size_bytes: number;
  permissions: string;
  owner: string;
  group: string;
  modified_at?: string;
  symlink_target: string;
}

/** google.rpc.Status. */
export interface Status {
  code?: number;
  message?: string;
  details?: { reason?: string; metadata?: Record<string, string> }[];
}
