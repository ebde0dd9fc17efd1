/**
 * What can be wrong with a caller's command or file inside a guest. The guest
 * daemon names a failure of this table; the host looks the name up in its own
 * copy, so that no text of a guest ever reaches a caller or a log.
 */
import { Code, type Reason, WrennError } from '../errors/index.js';

interface Failure {
  code: Code;
  reason: Reason;
  message: string;
}

const COMMAND_NOT_FOUND = { code: Code.NOT_FOUND, reason: 'COMMAND_NOT_FOUND' } as const;
const COMMAND_NOT_STARTED = {
  code: Code.FAILED_PRECONDITION,
  reason: 'COMMAND_NOT_STARTED',
} as const;
const PROCESS_STATE = { code: Code.FAILED_PRECONDITION, reason: 'PROCESS_STATE' } as const;
const FILE_NOT_USABLE = { code: Code.FAILED_PRECONDITION, reason: 'FILE_NOT_USABLE' } as const;

const FAILURES = {
  program_not_found: { ...COMMAND_NOT_FOUND, message: 'the sandbox has no such program' },
  program_not_executable: { ...COMMAND_NOT_FOUND, message: 'the program is not executable' },

  program_not_started: { ...COMMAND_NOT_STARTED, message: 'the program could not be started' },
  program_format: {
    ...COMMAND_NOT_STARTED,
    message: 'the program, or the interpreter that it names, cannot run in this sandbox',
  },
  program_user_unknown: { ...COMMAND_NOT_STARTED, message: 'the sandbox has no such user' },
  program_cwd: {
    ...COMMAND_NOT_STARTED,
    message: 'the working directory does not exist or is no directory',
  },
  program_arguments: {
    ...COMMAND_NOT_STARTED,
    message: 'arguments and environment are larger than the sandbox takes',
  },
  program_limit: {
    ...COMMAND_NOT_STARTED,
    message: 'the sandbox runs as many programs as it may; wait until one has ended',
  },

  process_not_found: {
    code: Code.NOT_FOUND,
    reason: 'PROCESS_NOT_FOUND',
    message: 'the sandbox has no such process',
  },
  process_ended: { ...PROCESS_STATE, message: 'the process has ended' },
  input_closed: { ...PROCESS_STATE, message: 'the input of the process is closed' },
  no_terminal: { ...PROCESS_STATE, message: 'the process has no terminal' },
  output_out_of_range: {
    code: Code.OUT_OF_RANGE,
    reason: 'OUTPUT_OUT_OF_RANGE',
    message: 'the output at this offset is not kept',
  },

  file_not_found: {
    code: Code.NOT_FOUND,
    reason: 'FILE_NOT_FOUND',
    message: 'the sandbox has no such file',
  },
  file_too_large: {
    code: Code.FAILED_PRECONDITION,
    reason: 'FILE_TOO_LARGE',
    message: 'the file is larger than this call carries',
  },
  file_not_usable: { ...FILE_NOT_USABLE, message: 'the path cannot be used' },
  file_is_directory: { ...FILE_NOT_USABLE, message: 'the path is a directory' },
  file_not_regular: {
    ...FILE_NOT_USABLE,
    message: 'the path is no regular file (a device, a pipe or a socket)',
  },
  file_parent: { ...FILE_NOT_USABLE, message: 'a part of the path is no directory' },
  file_not_allowed: { ...FILE_NOT_USABLE, message: 'the file may not be used' },
  file_read_only: { ...FILE_NOT_USABLE, message: 'the filesystem is read-only' },
  file_path: { ...FILE_NOT_USABLE, message: 'the path is too long or its links form a loop' },
  file_user_unknown: { ...FILE_NOT_USABLE, message: 'the sandbox has no such user' },
  file_not_directory: { ...FILE_NOT_USABLE, message: 'the path is no directory' },
  file_mount_point: {
    ...FILE_NOT_USABLE,
    message: 'a filesystem is mounted at the path or below it',
  },
  file_other_filesystem: {
    ...FILE_NOT_USABLE,
    message: 'source and destination are on different filesystems; copy and remove instead',
  },
  file_exists: {
    code: Code.ALREADY_EXISTS,
    reason: 'FILE_EXISTS',
    message: 'there is something at the path already',
  },
  directory_too_large: {
    code: Code.FAILED_PRECONDITION,
    reason: 'FILE_TOO_LARGE',
    message: 'a directory has more entries than are sorted for a list',
  },
  watch_limit: {
    code: Code.RESOURCE_EXHAUSTED,
    reason: 'STREAM_LIMIT',
    message: 'the sandbox watches as many directories as it may; end another watch',
  },
  disk_full: {
    code: Code.RESOURCE_EXHAUSTED,
    reason: 'GUEST_DISK_FULL',
    message: "the sandbox's disk is full",
  },
} satisfies Record<string, Failure>;

export type GuestFailure = keyof typeof FAILURES;

/** Names of all failures. */
export const GUEST_FAILURES = Object.keys(FAILURES) as GuestFailure[];

/** The failure that stands for a reason when a guest names none that is known here. */
const OF_REASON: Partial<Record<Reason, GuestFailure>> = {
  COMMAND_NOT_FOUND: 'program_not_found',
  COMMAND_NOT_STARTED: 'program_not_started',
  PROCESS_NOT_FOUND: 'process_not_found',
  PROCESS_STATE: 'process_ended',
  OUTPUT_OUT_OF_RANGE: 'output_out_of_range',
  FILE_NOT_FOUND: 'file_not_found',
  FILE_NOT_USABLE: 'file_not_usable',
  FILE_TOO_LARGE: 'file_too_large',
  FILE_EXISTS: 'file_exists',
  STREAM_LIMIT: 'watch_limit',
  GUEST_DISK_FULL: 'disk_full',
};

const METADATA_KEY = 'failure';
/** Numbers that a failure may carry, in decimal digits. */
const NUMBER_KEYS = ['first_offset', 'next_offset'] as const;
/** Digits of an offset; no guest counts further in a lifetime. */
const NUMBER = /^\d{1,18}$/;

/** The error for a failure; its metadata carries the name. */
export function guestFailure(name: GuestFailure, cause?: unknown): WrennError {
  const { code, reason, message } = FAILURES[name];
  return new WrennError(code, reason, message, { metadata: { [METADATA_KEY]: name }, cause });
}

/**
 * Reads the failure out of an error that came from a guest.
 * @returns undefined when the error is none of the failures that a guest may report.
 */
export function readGuestFailure(error: WrennError): GuestFailure | undefined {
  const fallback = OF_REASON[error.reason];
  if (fallback === undefined) return undefined;
  const named = error.metadata[METADATA_KEY];
  return (
    GUEST_FAILURES.find((name) => name === named && FAILURES[name].reason === error.reason) ??
    fallback
  );
}

/** The error for output that is not kept; its metadata says what is: the first offset, and the next. */
export function outputOutOfRange(firstOffset: number, nextOffset: number): WrennError {
  const { code, reason, message } = FAILURES.output_out_of_range;
  const metadata = { first_offset: String(firstOffset), next_offset: String(nextOffset) };
  return new WrennError(code, reason, message, {
    metadata: { [METADATA_KEY]: 'output_out_of_range', ...metadata },
  });
}

/**
 * Makes an error of our own of one that came from a guest: no word of it is the guest's, and of
 * its metadata only offsets are taken over that are numbers.
 * @returns undefined when the error is none of the failures that a guest may report.
 */
export function retellGuestFailure(error: WrennError): WrennError | undefined {
  const name = readGuestFailure(error);
  if (name === undefined) return undefined;
  const told = guestFailure(name);
  if (name !== 'output_out_of_range') return told;
  const numbers = NUMBER_KEYS.map((key) => [key, error.metadata[key] ?? ''] as const);
  const valid = numbers.filter(([, digits]) => NUMBER.test(digits));
  return new WrennError(told.code, told.reason, told.message, {
    metadata: { ...told.metadata, ...Object.fromEntries(valid) },
  });
}
