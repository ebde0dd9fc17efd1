/**
 * Tells the end of an upload from one that was called off. Node's HTTP/2 client
 * calls a stream off by ending it, and resets it a moment later: in between half
 * a file looks whole. A client that sets this metadata therefore ends its
 * requests with a message of its own, and an end without one is none.
 */
import type { Metadata } from '@grpc/grpc-js';

const KEY = 'wrenn-explicit-end';
const VALUE = '1';

/**
 * The encoded message that ends the requests of a call that says so: the highest field number, which
 * no contract has, with the value 1. A message with nothing in it is an empty piece, and no end.
 */
export const END_MESSAGE = Buffer.of(0xf8, 0xff, 0xff, 0xff, 0x0f, 0x01);

/** Makes a call say that its requests end with END_MESSAGE. */
export function announceExplicitEnd(metadata: Metadata): void {
  metadata.set(KEY, VALUE);
}

export function hasExplicitEnd(metadata: Metadata): boolean {
  return metadata.get(KEY)[0] === VALUE;
}
