/** Comments of the protos, which become the descriptions of the document. */
import type {
  DescEnum,
  DescEnumValue,
  DescField,
  DescFile,
  DescMessage,
  DescMethod,
  DescService,
} from '@bufbuild/protobuf';

export type Commented =
  | DescMessage
  | DescField
  | DescEnum
  | DescEnumValue
  | DescService
  | DescMethod;

/** Field numbers of descriptor.proto, of which the paths of source locations are made. */
const FILE = { messageType: 4, enumType: 5, service: 6 };
const MESSAGE = { field: 2, nestedType: 3, enumType: 4 };
const ENUM_VALUE = 2;
const SERVICE_METHOD = 2;

const byFile = new WeakMap<DescFile, Map<string, string>>();

/** The comment above a declaration as paragraphs of one line each; empty when there is none. */
export function commentOf(declaration: Commented): string {
  const { file, path } = placeOf(declaration);
  let comments = byFile.get(file);
  if (!comments) {
    comments = readComments(file);
    byFile.set(file, comments);
  }
  return comments.get(path.join('.')) ?? '';
}

/** The first sentence of a comment, which starts with the name of what it describes, without that. */
export function summaryOf(name: string, comment: string): string {
  const [sentence = ''] = /^.*?\.(?= |\n|$)/s.exec(comment) ?? [comment];
  const text = sentence.startsWith(`${name} `) ? sentence.slice(name.length + 1) : sentence;
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`.replace(/\.$/, '');
}

function readComments({ proto }: DescFile): Map<string, string> {
  const locations = proto.sourceCodeInfo?.location ?? [];
  return new Map(
    locations.map(({ path, leadingComments }) => [path.join('.'), unwrap(leadingComments)]),
  );
}

/** Lines of a paragraph are joined; an empty line, or a list, begins another. */
function unwrap(comment: string): string {
  return comment
    .split('\n')
    .map((line) => line.trim())
    .join('\n')
    .trim()
    .split(/\n{2,}/)
    .map((paragraph) => paragraph.replaceAll('\n', ' '))
    .join('\n\n');
}

function placeOf(declaration: Commented): { file: DescFile; path: number[] } {
  switch (declaration.kind) {
    case 'message':
    case 'enum':
      return placeOfType(declaration);
    case 'service':
      return {
        file: declaration.file,
        path: [FILE.service, declaration.file.services.indexOf(declaration)],
      };
    case 'rpc':
      return below(
        declaration.parent,
        SERVICE_METHOD,
        declaration.parent.methods.indexOf(declaration),
      );
    case 'field':
      return below(
        declaration.parent,
        MESSAGE.field,
        declaration.parent.fields.indexOf(declaration),
      );
    case 'enum_value':
      return below(declaration.parent, ENUM_VALUE, declaration.parent.values.indexOf(declaration));
  }
}

function placeOfType(type: DescMessage | DescEnum): { file: DescFile; path: number[] } {
  const { file, parent } = type;
  if (type.kind === 'enum') {
    if (parent) return below(parent, MESSAGE.enumType, parent.nestedEnums.indexOf(type));
    return { file, path: [FILE.enumType, file.enums.indexOf(type)] };
  }
  // Types of map entries take indices of the proto, too, but stand in no list of descriptors.
  if (parent) return below(parent, MESSAGE.nestedType, parent.proto.nestedType.indexOf(type.proto));
  return { file, path: [FILE.messageType, file.messages.indexOf(type)] };
}

function below(parent: Commented, part: number, index: number) {
  const { file, path } = placeOf(parent);
  return { file, path: [...path, part, index] };
}
