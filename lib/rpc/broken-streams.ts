/**
 * grpc-js emits an error on a stream whose peer has gone; without a listener
 * that ends the process. Services of other packages listen to nothing.
 */
import type { UntypedServiceImplementation } from '@grpc/grpc-js';

/** The same service with a listener on every call. */
export function surviveBrokenStreams(
  implementation: UntypedServiceImplementation,
): UntypedServiceImplementation {
  const entries = Object.entries(implementation).map(([name, handle]) => [
    name,
    (call: NodeJS.EventEmitter, ...rest: unknown[]) => {
      call.on('error', () => undefined);
      return (handle as (...parameters: unknown[]) => unknown)(call, ...rest);
    },
  ]);
  return Object.fromEntries(entries);
}
