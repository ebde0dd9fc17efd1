/**
 * Postgres: the only place that knows SQL. One class for each noun; each
 * query about a team's things names the team.
 */
import { ApiKeyStore } from './api-key.js';
import type { Database } from './database.js';
import { HostSandboxStore } from './host-sandboxes.js';
import { SandboxStore } from './sandbox.js';
import { SnapshotStore } from './snapshot.js';
import { TemplateStore } from './template.js';
import { UserStore } from './user.js';

export interface Stores {
  users: UserStore;
  apiKeys: ApiKeyStore;
  templates: TemplateStore;
  sandboxes: SandboxStore;
  hostSandboxes: HostSandboxStore;
  snapshots: SnapshotStore;
}

export function createStores(database: Database): Stores {
  return {
    users: new UserStore(database),
    apiKeys: new ApiKeyStore(database),
    templates: new TemplateStore(database),
    sandboxes: new SandboxStore(database),
    hostSandboxes: new HostSandboxStore(database),
    snapshots: new SnapshotStore(database),
  };
}
