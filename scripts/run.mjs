/** Starts programs for the scripts of this folder. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's root folder. */
export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Time limit of a program for which the caller names none. */
const RUN_TIMEOUT_MS = 30 * 60_000;
/** Pause between the polite signal and the final one when time runs out. */
const KILL_GRACE_MS = 5_000;

/**
 * Runs a program with its output on the terminal; SIGTERM and SIGINT are passed on.
 * @param {string} command
 * @param {string[]} args
 * @param {{ timeoutMs?: number | 'none' }} [options]
 * @returns {Promise<{ exitCode: number, timedOut: boolean }>} 128 plus the signal's number for a killed one.
 */
export function runStreaming(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: 'inherit' });
    const { timeoutMs = RUN_TIMEOUT_MS } = options;
    let timedOut = false;
    const stop = () => {
      timedOut = true;
      child.kill('SIGTERM');
      setTimeout(() => child.kill('SIGKILL'), KILL_GRACE_MS).unref();
    };
    const timer = timeoutMs === 'none' ? undefined : setTimeout(stop, timeoutMs);
    const forward = (/** @type {NodeJS.Signals} */ signal) => child.kill(signal);
    // A terminal's Ctrl-C reaches the child by itself; this process only has to outlive it.
    const ignore = () => undefined;
    process.on('SIGTERM', forward).on('SIGINT', ignore);
    const release = () => {
      clearTimeout(timer);
      process.off('SIGTERM', forward).off('SIGINT', ignore);
    };
    child.once('error', (error) => {
      release();
      reject(error);
    });
    child.once('close', (code, signal) => {
      release();
      resolve({ exitCode: code ?? 128 + constants.signals[signal ?? 'SIGKILL'], timedOut });
    });
  });
}

/**
 * Runs a program and keeps what it prints, both streams in one text.
 * @param {string} command
 * @param {string[]} args
 * @returns {Promise<{ exitCode: number, output: string }>}
 */
export function runCaptured(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: RUN_TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    /** @type {Buffer[]} */
    const chunks = [];
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr.on('data', (chunk) => chunks.push(chunk));
    child.once('error', reject);
    child.once('close', (code) => {
      resolve({ exitCode: code ?? 137, output: Buffer.concat(chunks).toString('utf8') });
    });
  });
}

/**
 * A duration for people: `0.4 s`, `12.3 s`, `3 min 5 s`.
 * @param {number} durationMs
 */
export function formatDuration(durationMs) {
  if (durationMs < 60_000) return `${(durationMs / 1000).toFixed(1)} s`;
  const seconds = Math.round(durationMs / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
