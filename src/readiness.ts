/**
 * What grpc.health.v1 says: a service is SERVING while what it needs answers,
 * the database and for sandboxes a host; the server ('') while all do.
 */
import type { Server, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import { HealthImplementation, type ServingStatusMap } from 'grpc-health-check';
import { delay } from '../lib/lifecycle/delay.js';
import { surviveBrokenStreams } from '../lib/rpc/broken-streams.js';
import { splitPath } from '../lib/rpc/method.js';
import type { Context } from './context.js';
import { PUBLIC_SERVICES } from './services.js';

/** Pause between two looks at database and host. */
export const CHECK_PAUSE_MS = 5000;

/** Services that work without a host. */
const WITHOUT_HOST = new Set(['wrenn.v1.AuthService', 'wrenn.v1.ApiKeyService']);

export class Readiness {
  readonly #context: Pick<Context, 'database' | 'host'>;
  readonly #health = new HealthImplementation(statusOf(false, false));
  readonly #closing = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(context: Pick<Context, 'database' | 'host'>) {
    this.#context = context;
  }

  addTo(server: Server): void {
    const adder = {
      addService: (service: ServiceDefinition, implementation: UntypedServiceImplementation) =>
        server.addService(service, surviveBrokenStreams(implementation)),
    };
    this.#health.addToServer(adder);
  }

  /** Resolves after the first look. */
  async start(): Promise<void> {
    await this.#check();
    this.#loop = this.#run();
  }

  /** Says NOT_SERVING from now on. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
    this.#set(false, false);
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await delay(CHECK_PAUSE_MS, signal).catch(() => undefined);
      if (!signal.aborted) await this.#check();
    }
  }

  async #check(): Promise<void> {
    const { database, host } = this.#context;
    const hostAnswers = host.getHost().then(
      () => true,
      () => false,
    );
    this.#set(await database.isReachable(), await hostAnswers);
  }

  #set(hasDatabase: boolean, hasHost: boolean): void {
    for (const [service, status] of Object.entries(statusOf(hasDatabase, hasHost))) {
      this.#health.setStatus(service, status);
    }
  }
}

function statusOf(hasDatabase: boolean, hasHost: boolean): ServingStatusMap {
  const names = ['', ...PUBLIC_SERVICES.map(serviceName)];
  return Object.fromEntries(
    names.map((name) => [
      name,
      hasDatabase && (hasHost || WITHOUT_HOST.has(name)) ? 'SERVING' : 'NOT_SERVING',
    ]),
  );
}

function serviceName(definition: (typeof PUBLIC_SERVICES)[number]): string {
  const [method] = Object.values(definition);
  return method ? splitPath(method.path).service : '';
}
