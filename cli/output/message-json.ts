import { fromBinary, type JsonValue, toJson } from '@bufbuild/protobuf';
import { descriptors } from '../../lib/rpc/descriptors.js';

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
}

/**
 * The JSON of a message, the same that the HTTP gateway answers.
 * @param typeName full name, such as `wrenn.v1.Sandbox`.
 */
export function messageToJson<T>(typeName: string, codec: Codec<T>, message: T): JsonValue {
  const { registry } = descriptors();
  const type = registry.getMessage(typeName);
  if (!type) throw new Error(`no message ${typeName} in the descriptor set`);
  return toJson(type, fromBinary(type, codec.encode(message).finish()), {
    registry,
    alwaysEmitImplicit: true,
    useProtoFieldName: true,
  });
}
