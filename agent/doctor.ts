/**
 * `node dist/agent/doctor.js`: what this host has for running sandboxes, as one
 * JSON object (lib/doctor/report.ts). It changes nothing but caches.
 */
import { WrennError } from '../lib/errors/index.js';
import { readConfig } from './config.js';
import { inspectHost } from './doctor/inspect-host.js';

try {
  console.log(JSON.stringify(await inspectHost(readConfig())));
} catch (error) {
  console.error(error instanceof WrennError ? error.message : error);
  process.exitCode = 1;
}
