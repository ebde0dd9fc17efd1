/** Names what the kernel says about a caller's path. */
import { WrennError } from '../../lib/errors/index.js';
import { type GuestFailure, guestFailure } from '../../lib/guest/guest-failure.js';

const FAILURES: Record<string, GuestFailure> = {
  EISDIR: 'file_is_directory',
  ENOTDIR: 'file_parent',
  EEXIST: 'file_parent',
  EACCES: 'file_not_allowed',
  EPERM: 'file_not_allowed',
  ETXTBSY: 'file_not_allowed',
  EROFS: 'file_read_only',
  ENAMETOOLONG: 'file_path',
  ELOOP: 'file_path',
  ENXIO: 'file_not_regular',
  ENODEV: 'file_not_regular',
  // A file of /proc that is read as a pipe is.
  EAGAIN: 'file_not_regular',
  EBUSY: 'file_mount_point',
  ENOSPC: 'disk_full',
  EDQUOT: 'disk_full',
};

/**
 * Turns anything thrown by a filesystem call into the error that the caller gets.
 * @param absent what it means that there is no such file.
 */
export function fileFailure(thrown: unknown, absent: GuestFailure): WrennError {
  if (thrown instanceof WrennError) return thrown;
  const { code } = thrown as NodeJS.ErrnoException;
  if (typeof code !== 'string') return WrennError.from(thrown);
  const known = code === 'ENOENT' ? absent : FAILURES[code];
  // What is the caller's own mistake needs no line on the console.
  return known ? guestFailure(known) : guestFailure('file_not_usable', thrown);
}
