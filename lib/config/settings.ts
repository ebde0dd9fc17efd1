/**
 * Every setting that the daemons and the command line read from the
 * environment. `.env.example` is this table; a test keeps them equal.
 */
export interface Setting {
  name: string;
  /** What applies when it is not set, in words or as the value. */
  fallback: string;
  description: string;
}

export const SETTINGS: readonly Setting[] = [
  {
    name: 'WRENN_STATE_DIR',
    fallback: '/var/lib/wrenn',
    description: 'Disks of sandboxes, database, secrets.',
  },
  {
    name: 'WRENN_RUN_DIR',
    fallback: '/run/wrenn',
    description: 'Sockets and the ledger of this boot.',
  },
  {
    name: 'WRENN_IMAGES_DIR',
    fallback: '/var/lib/wrenn/images',
    description: 'Kernel, tools image and templates.',
  },
  {
    name: 'WRENN_HTTP_ADDRESS',
    fallback: '127.0.0.1:7070',
    description: 'Address of the HTTP/JSON gateway.',
  },
  {
    name: 'WRENN_GRPC_ADDRESS',
    fallback: '127.0.0.1:7071',
    description: 'Address of the gRPC server.',
  },
  {
    name: 'WRENN_CORS_ORIGINS',
    fallback: 'none',
    description: 'Origins whose pages may call the gateway, such as https://a.example, by commas.',
  },
  {
    name: 'DATABASE_URL',
    fallback: 'the embedded Postgres',
    description: 'Address of a Postgres of your own.',
  },
  {
    name: 'DATABASE_SCHEMA',
    fallback: 'public',
    description: 'Postgres schema that holds the tables.',
  },
  {
    name: 'WRENN_JWT_SECRET',
    fallback: 'generated into the state folder',
    description: 'Secret that signs access tokens, at least 32 characters.',
  },
  {
    name: 'WRENN_AGENT_SOCKET',
    fallback: 'agent.sock in the run folder',
    description: 'Unix socket of the host agent.',
  },
  {
    name: 'WRENN_REFLECTION',
    fallback: 'true',
    description: 'Whether the gRPC server answers reflection.',
  },
  {
    name: 'WRENN_TEST_PAGE',
    fallback: 'false',
    description: 'Whether the gateway serves the test page at /test; `wrenn up` sets it to true.',
  },
  {
    name: 'WRENN_RECONCILE_INTERVAL_MS',
    fallback: '30000',
    description: 'Pause between two passes of the reconciler.',
  },
  {
    name: 'WRENN_RECONCILE_GRACE_MS',
    fallback: '60000',
    description: 'Age at which a sandbox unknown to the database may be deleted.',
  },
  {
    name: 'WRENN_TEAM_SANDBOXES_MAX',
    fallback: '1000',
    description: 'Sandboxes that a team may have at once.',
  },
  {
    name: 'WRENN_TEAM_SNAPSHOTS_MAX',
    fallback: '100',
    description: 'Snapshots that a team may have at once.',
  },
  { name: 'WRENN_VMM_DRIVER', fallback: 'auto', description: 'auto, qemu or fake.' },
  {
    name: 'WRENN_NETWORK_CIDR',
    fallback: 'a free /18 out of 10.192.0.0/10',
    description: 'IPv4 range for the links to the guests.',
  },
  {
    name: 'WRENN_NETWORK_POOL_SIZE',
    fallback: '2',
    description: 'Network slots that are built ahead.',
  },
  {
    name: 'WRENN_MEMORY_MB_MAX',
    fallback: 'the host memory less 1 GiB',
    description: 'Memory that all sandboxes together may take.',
  },
  {
    name: 'WRENN_WARM_TEMPLATES_MAX',
    fallback: '16',
    description:
      'Booted machines of templates that are kept frozen, to start sandboxes from; 0 for none.',
  },
  {
    name: 'WRENN_READY_MACHINES_MAX',
    fallback: '0',
    description:
      'Machines that stand ready for the next sandbox of the shape asked for last; each takes its memory.',
  },
  {
    name: 'WRENN_FAKE_BOOT_MS',
    fallback: '5',
    description: 'How long a boot takes with the fake driver.',
  },
  { name: 'WRENN_LOG_LEVEL', fallback: 'info', description: 'error, warn, info or debug.' },
];

export const SETTING_NAMES: readonly string[] = SETTINGS.map(({ name }) => name);
