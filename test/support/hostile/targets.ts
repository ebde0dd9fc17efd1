/** Every place of every request of an API in which a text, bytes, a number or a choice can stand. */
import { type DescField, type DescMessage, type DescMethod, ScalarType } from '@bufbuild/protobuf';
import { descriptors } from '../../../lib/rpc/descriptors.js';
import type { Part } from './rules.js';
import type { FieldPath } from './wire.js';

export interface Target {
  path: FieldPath;
  part: Part;
}

/** No request nests deeper. */
const DEPTH_MAX = 4;

export function methodsOf(packageName: string): DescMethod[] {
  return [...descriptors().registry.files]
    .filter((file) => file.proto.package === packageName)
    .flatMap((file) => file.services.flatMap((service) => service.methods));
}

/** `Service.Method` */
export function shortName({ parent, name }: DescMethod): string {
  return `${parent.name}.${name}`;
}

export function rpcPath({ parent, name }: DescMethod): string {
  return `/${parent.typeName}/${name}`;
}

/** The places that take text: strings, items of lists of them, keys and values of maps. */
export function textTargets(input: DescMessage): Target[] {
  const found = FOUND.get(input) ?? findTextTargets(input);
  FOUND.set(input, found);
  return found;
}

const FOUND = new Map<DescMessage, Target[]>();

function findTextTargets(input: DescMessage): Target[] {
  return leaves(input).flatMap((path): Target[] => {
    const field = path.at(-1);
    if (field?.fieldKind === 'map')
      return [
        { path, part: 'key' },
        { path, part: 'value' },
      ];
    const isText = field !== undefined && scalarOf(field) === ScalarType.STRING;
    return isText ? [{ path, part: 'value' }] : [];
  });
}

/** The places of bytes. */
export function bytesTargets(input: DescMessage): FieldPath[] {
  return leaves(input).filter((path) => scalarOf(path.at(-1)) === ScalarType.BYTES);
}

/** The places of numbers and of choices, which are numbers on the wire. */
export function numberTargets(input: DescMessage): FieldPath[] {
  return leaves(input).filter((path) => {
    const field = path.at(-1);
    const scalar = scalarOf(field);
    const isNumber =
      scalar !== undefined && scalar !== ScalarType.STRING && scalar !== ScalarType.BYTES;
    return (
      isNumber ||
      field?.fieldKind === 'enum' ||
      (field?.fieldKind === 'list' && field.listKind === 'enum')
    );
  });
}

function scalarOf(field: DescField | undefined): ScalarType | undefined {
  if (field?.fieldKind === 'scalar') return field.scalar;
  return field?.fieldKind === 'list' && field.listKind === 'scalar' ? field.scalar : undefined;
}

function leaves(message: DescMessage, depth = 0): FieldPath[] {
  if (depth > DEPTH_MAX) throw new Error(`${message.typeName} nests too deep`);
  return message.fields.flatMap((field): FieldPath[] => {
    const inner =
      field.fieldKind === 'message' || field.fieldKind === 'list' ? field.message : undefined;
    return inner ? leaves(inner, depth + 1).map((path) => [field, ...path]) : [[field]];
  });
}
