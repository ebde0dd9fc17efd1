/**
 * Root disks. A provider gives each sandbox a private writable disk over the
 * read-only image of its template; the image is never written.
 */
export interface RootfsRequest {
  sandboxId: string;
  /** Read-only raw image of the template. */
  imagePath: string;
  /** Folder of the sandbox, in which the provider puts its files. */
  directory: string;
  /** User that the VMM runs as and that must be able to write the disk. */
  uid: number;
}

/** A disk as a VMM driver takes it. JSON-serializable. */
export interface Rootfs {
  path: string;
  format: 'qcow2' | 'raw';
}

export interface RootfsProvider {
  /** @throws WrennError HOST_DISK_FULL when the host has no room; then nothing is left behind. */
  create(request: RootfsRequest): Promise<Rootfs>;
  /** Idempotent. The VMM must be gone. */
  destroy(rootfs: Rootfs): Promise<void>;
  /** Bytes that the disk takes on the host: allocated blocks × 512. */
  sizeBytes(rootfs: Rootfs): Promise<number>;
}
