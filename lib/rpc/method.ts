/** Types that tie handlers and clients to the service definitions in gen/. */

/** One method of a generated service definition. */
export interface MethodShape {
  path: string;
  requestStream: boolean;
  responseStream: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: each method has its own message types
  requestSerialize: (value: any) => Buffer;
  // biome-ignore lint/suspicious/noExplicitAny: each method has its own message types
  requestDeserialize: (value: Buffer) => any;
  // biome-ignore lint/suspicious/noExplicitAny: each method has its own message types
  responseSerialize: (value: any) => Buffer;
  // biome-ignore lint/suspicious/noExplicitAny: each method has its own message types
  responseDeserialize: (value: Buffer) => any;
}

/** A generated service definition: method name (lowerCamelCase) to method. */
export type ServiceShape = Record<string, MethodShape>;

export type RequestOf<M extends MethodShape> = ReturnType<M['requestDeserialize']>;
export type ResponseOf<M extends MethodShape> = ReturnType<M['responseDeserialize']>;

/** What goes to a method: a message, or a stream of them. */
export type Requests<M extends MethodShape> = M['requestStream'] extends true
  ? AsyncIterable<RequestOf<M>>
  : RequestOf<M>;

/** What comes from it. */
export type Responses<M extends MethodShape> = M['responseStream'] extends true
  ? AsyncIterable<ResponseOf<M>>
  : Promise<ResponseOf<M>>;

/** `/wrenn.v1.SandboxService/GetSandbox` → its two names. */
export function splitPath(path: string): { service: string; method: string } {
  const [, service = '', method = ''] = path.split('/');
  return { service, method };
}
