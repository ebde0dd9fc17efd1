/**
 * Tells the end of an upload from one that was called off. Node's HTTP/2 client
 * calls a stream off by ending it, and resets it a moment later: in between half
 * a file looks whole. A client that sets this metadata therefore ends its
 * requests with an empty message, and an end without one is none.
 */
import type { Metadata } from '@grpc/grpc-js';

const KEY = 'wrenn-explicit-end';
const VALUE = '1';

/** The encoded message that ends the requests of a call that says so. */
export const END_MESSAGE = Buffer.alloc(0);

/** Makes a call say that its requests end with END_MESSAGE. */
export function announceExplicitEnd(metadata: Metadata): void {
  metadata.set(KEY, VALUE);
}

export function hasExplicitEnd(metadata: Metadata): boolean {
  return metadata.get(KEY)[0] === VALUE;
}
