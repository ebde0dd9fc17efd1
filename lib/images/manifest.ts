/**
 * The list of images that a machine has: which kernel, initial RAM disk, tools image and templates
 * are current. images/ writes it, the host agent reads it. An image's name carries a part of its
 * content hash, so an image never changes under a name; a new build adds files and then replaces
 * the manifest in one step.
 *
 * Paths inside the file are relative to its folder; in memory they are absolute.
 */
import { readFile } from 'node:fs/promises';
import { isAbsolute, join, relative } from 'node:path';
import { Code, WrennError } from '../errors/index.js';

export const MANIFEST_NAME = 'manifest.json';
/** Version of the format; a reader refuses any other. */
export const MANIFEST_VERSION = 1;
/** A larger file is no manifest. */
export const MANIFEST_BYTES_MAX = 1024 * 1024;

const SHA256 = /^[0-9a-f]{64}$/;
const TEMPLATE_NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** A file in the images folder. */
export interface Image {
  /** Absolute path. */
  path: string;
  /** SHA-256 of the content, in hexadecimal. */
  sha256: string;
}

/** An uncompressed kernel (ELF) and the release it calls itself. */
export interface KernelImage extends Image {
  version: string;
}

/** The read-only drive with busybox, Node and envd. */
export interface ToolsImage extends Image {
  nodeVersion: string;
}

/** A root disk, ext4 in a raw file. */
export interface TemplateImage extends Image {
  /** Bytes that the file takes on the host's disk. */
  sizeBytes: number;
  /** Bytes of the disk that a guest sees. */
  virtualSizeBytes: number;
}

export interface ImageManifest {
  kernel: KernelImage;
  initrd: Image;
  tools: ToolsImage;
  /** By template name. */
  templates: Record<string, TemplateImage>;
}

/**
 * Reads the manifest of an images folder.
 * @throws WrennError HOST_REQUIREMENT when there is none, or when it is not one of this version.
 */
export async function readManifest(imagesDirectory: string): Promise<ImageManifest> {
  const path = join(imagesDirectory, MANIFEST_NAME);
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (cause) {
    throw new WrennError(
      Code.FAILED_PRECONDITION,
      'HOST_REQUIREMENT',
      `there are no images in ${imagesDirectory}: build them with \`npm run images\``,
      { cause },
    );
  }
  return parseManifest(content, imagesDirectory);
}

/**
 * Turns the content of a manifest into its checked form.
 * @throws WrennError HOST_REQUIREMENT that names the first part that does not fit.
 */
export function parseManifest(content: string, imagesDirectory: string): ImageManifest {
  if (content.length > MANIFEST_BYTES_MAX) throw unusable('it is too large');
  const root = new Part('manifest', parseJson(content));
  if (root.value('version') !== MANIFEST_VERSION) {
    throw unusable(`its version is not ${MANIFEST_VERSION}`);
  }
  const image = (part: Part): Image => ({
    path: imagePath(part, imagesDirectory),
    sha256: part.text('sha256', SHA256),
  });
  const kernel = root.part('kernel');
  const tools = root.part('tools');
  return {
    kernel: { ...image(kernel), version: kernel.text('version') },
    initrd: image(root.part('initrd')),
    tools: { ...image(tools), nodeVersion: tools.text('nodeVersion') },
    templates: Object.fromEntries(
      root
        .part('templates')
        .parts(TEMPLATE_NAME)
        .map(([name, part]) => [
          name,
          {
            ...image(part),
            sizeBytes: part.size('sizeBytes'),
            virtualSizeBytes: part.size('virtualSizeBytes'),
          },
        ]),
    ),
  };
}

/** The content of the manifest file; `parseManifest` with the same folder gives the argument back. */
export function formatManifest(manifest: ImageManifest, imagesDirectory: string): string {
  const local = <T extends Image>(image: T): T => ({
    ...image,
    path: relative(imagesDirectory, image.path),
  });
  const content = {
    version: MANIFEST_VERSION,
    kernel: local(manifest.kernel),
    initrd: local(manifest.initrd),
    tools: local(manifest.tools),
    templates: Object.fromEntries(
      Object.entries(manifest.templates).map(([name, image]) => [name, local(image)]),
    ),
  };
  return `${JSON.stringify(content, undefined, 2)}\n`;
}

/** Every file that a manifest names. */
export function manifestPaths(manifest: ImageManifest): string[] {
  const { kernel, initrd, tools, templates } = manifest;
  return [kernel, initrd, tools, ...Object.values(templates)].map(({ path }) => path);
}

/** An object inside the manifest, read with checks; errors name the place. */
class Part {
  readonly #name: string;
  readonly #fields: Record<string, unknown>;

  constructor(name: string, value: unknown) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw unusable(`${name} is missing`);
    }
    this.#name = name;
    this.#fields = { ...value };
  }

  value(field: string): unknown {
    return Object.hasOwn(this.#fields, field) ? this.#fields[field] : undefined;
  }

  part(field: string): Part {
    return new Part(field, this.value(field));
  }

  parts(namePattern: RegExp): [string, Part][] {
    return Object.keys(this.#fields).map((field) => {
      if (!namePattern.test(field)) throw unusable(`${this.#name} has an entry with a bad name`);
      return [field, this.part(field)];
    });
  }

  text(field: string, pattern = /./): string {
    const value = this.value(field);
    if (typeof value === 'string' && pattern.test(value)) return value;
    throw unusable(`${this.#name}.${field} is missing or malformed`);
  }

  size(field: string): number {
    const value = this.value(field);
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
    throw unusable(`${this.#name}.${field} is not a size in bytes`);
  }
}

/** A path that leaves the images folder is refused: the agent hands these files to a VMM. */
function imagePath(part: Part, imagesDirectory: string): string {
  const path = join(imagesDirectory, part.text('path', /^[^/]/));
  const inside = relative(imagesDirectory, path);
  if (inside.startsWith('..') || isAbsolute(inside)) throw unusable('a path leaves its folder');
  return path;
}

function parseJson(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    throw unusable('it is not JSON');
  }
}

function unusable(problem: string): WrennError {
  return new WrennError(
    Code.FAILED_PRECONDITION,
    'HOST_REQUIREMENT',
    `the list of images is not usable, ${problem}: build the images again with \`npm run images\``,
  );
}
