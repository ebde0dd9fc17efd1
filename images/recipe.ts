/**
 * What every image builder gives: the inputs that decide the image's content, and a way to make
 * it. image-store.ts decides whether it has to be made, and keeps the result.
 */
import type { ProgressTask } from './progress.js';

/** What an image's content depends on, by name. Equal inputs mean that no new image is made. */
export type Inputs = Readonly<Record<string, string>>;

/** What the maker of an image wants to know of it later, such as versions. */
export type Facts = Readonly<Record<string, string>>;

export interface Work {
  /** Folder for files of this build alone; deleted afterwards. */
  directory: string;
  task: ProgressTask;
}

export interface Recipe<F extends Facts> {
  /** Name of the image, the first part of its file name. */
  name: string;
  /** Last part of the file name, such as `.ext4`. */
  suffix: string;
  /** Source files, from the package root, whose change makes a new image. */
  sources: readonly string[];
  /** What else makes a new image when it changes. Cheap, and needs no network. */
  inputs: Inputs;
  /** Makes the image as a new file at `target`. */
  build(target: string, work: Work): Promise<F>;
}
