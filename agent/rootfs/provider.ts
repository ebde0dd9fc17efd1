/**
 * Root disks. A disk is a stack of layers over the read-only image of a
 * template: the topmost, *active* layer takes what its machine writes, those
 * below are *sealed*: never written again, and shared by every machine and
 * snapshot that came after them. Each layer has a folder of its own, and never
 * moves.
 */
export interface RootfsRequest {
  sandboxId: string;
  /** Read-only raw image of the template. */
  imagePath: string;
  /** Ids of the sealed layers over the image, lowest first. */
  layers: readonly string[];
  /** User that the VMM runs as and that must be able to write the disk. */
  uid: number;
}

/** A disk as a VMM driver takes it. JSON-serializable. */
export interface Rootfs {
  path: string;
  format: 'qcow2' | 'raw';
  imagePath: string;
  /** Id of the active layer. */
  layer: string;
  /** Ids of the sealed layers below it, lowest first. */
  layers: string[];
  /** Their folders, in the same order. */
  layerFolders: string[];
}

export interface RootfsProvider {
  /**
   * Makes an active layer.
   * @param recordBefore must be durable when it resolves; called before anything is there.
   * @throws WrennError HOST_DISK_FULL when the host has no room; then nothing is left behind.
   */
  create(request: RootfsRequest, recordBefore: (planned: Rootfs) => Promise<void>): Promise<Rootfs>;
  /**
   * Makes the active layer one that nobody writes and every VMM may read, and notes its checksum;
   * durable when it resolves. Whoever has it open for writing must not use that any more. Layers
   * below it whose own seal has failed are sealed as well. Idempotent.
   */
  seal(rootfs: Rootfs): Promise<void>;
  /**
   * Gives a layer that was sealed back to the machine that has it open, because what it was sealed
   * for came to nothing: no generation has it. Idempotent.
   */
  unseal(rootfs: Rootfs, uid: number): Promise<void>;
  /**
   * Removes the active layer. Idempotent. The VMM must be gone. A layer that was sealed may be in
   * a generation, and is left to `collect`.
   */
  destroy(rootfs: Rootfs): Promise<void>;
  /**
   * Puts sealed layers together as one new sealed layer over the same image.
   * @returns its id.
   * @throws WrennError SNAPSHOT_DAMAGED, rather than make damage part of a layer that is whole.
   */
  merge(imagePath: string, layers: readonly string[]): Promise<string>;
  /**
   * What is cheap to know before a machine gets a sealed layer: it is there, and as long as when it
   * was sealed.
   * @throws WrennError SNAPSHOT_DAMAGED with metadata `artifact`.
   */
  check(layer: string): Promise<void>;
  /**
   * Reads all of a sealed layer: it must be consistent, and every byte as when it was sealed.
   * @throws WrennError SNAPSHOT_DAMAGED with metadata `artifact`.
   */
  verify(layer: string): Promise<void>;
  /** Bytes that a layer takes on the host: allocated blocks × 512; 0 when it is gone. */
  sizeBytes(layer: string): Promise<number>;
  /**
   * Removes every layer that is not held.
   * @param held is asked once the layers are listed, so that one which is made meanwhile, and was
   *   recorded before, is not lost; undefined when it is not known: then none goes.
   * @returns the ids of the removed ones; those that could not be removed are logged.
   */
  collect(held: () => ReadonlySet<string> | undefined): Promise<string[]>;
}
