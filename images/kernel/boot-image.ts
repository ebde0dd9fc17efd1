/**
 * The kernel as distributions ship it (`vmlinuz`) is a boot stub with a compressed ELF inside. The
 * ELF boots faster under emulation, since no guest instruction is spent on decompressing it, and
 * some VMMs take nothing else.
 *
 *     0x1f1  setup_sects       u8   sectors of the stub after the first; 0 means 4
 *     0x202  "HdrS"
 *     0x206  version           u16  the two fields below exist from 2.08 on
 *     0x248  payload_offset    u32  from the end of the stub
 *     0x24c  payload_length    u32
 *
 * A payload that is not gzip has its unpacked length (u32) behind it, inside payload_length.
 */
import { requirement } from '../failure.js';
import { decompress, formatOf } from './decompress.js';

const SECTOR_BYTES = 512;
const SETUP_SECTORS_FALLBACK = 4;
const HEADER_BYTES = 0x250;
const PROTOCOL_WITH_PAYLOAD = 0x0208;
const LENGTH_BYTES = 4;
const ELF_MAGIC = Buffer.from('\x7fELF', 'latin1');

/** @throws WrennError HOST_REQUIREMENT when this is no boot image. */
export function findPayload(image: Buffer): Buffer {
  if (image.length < HEADER_BYTES || image.toString('latin1', 0x202, 0x206) !== 'HdrS') {
    throw requirement('the kernel file is no boot image for x86');
  }
  if (image.readUInt16LE(0x206) < PROTOCOL_WITH_PAYLOAD) {
    throw requirement('the kernel file uses a boot protocol older than 2.08');
  }
  const setupSectors = image.readUInt8(0x1f1) || SETUP_SECTORS_FALLBACK;
  const start = (setupSectors + 1) * SECTOR_BYTES + image.readUInt32LE(0x248);
  const end = start + image.readUInt32LE(0x24c);
  if (start >= end || end > image.length) throw requirement('the kernel file is cut off');
  return image.subarray(start, end);
}

/** Takes the ELF kernel out of a boot image. @param workDirectory takes short-lived files. */
export async function extractKernel(image: Buffer, workDirectory: string): Promise<Buffer> {
  const payload = findPayload(image);
  const hasLength = formatOf(payload) !== 'gzip';
  const compressed = hasLength ? payload.subarray(0, -LENGTH_BYTES) : payload;
  const kernel = await decompress('unpacking the kernel', compressed, workDirectory);
  if (!kernel.subarray(0, ELF_MAGIC.length).equals(ELF_MAGIC)) {
    throw requirement('the kernel is packed in a way that is not known');
  }
  if (hasLength && kernel.length !== payload.readUInt32LE(payload.length - LENGTH_BYTES)) {
    throw requirement('the kernel came out of its boot image with another length than it states');
  }
  return kernel;
}
