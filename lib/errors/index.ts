export {
  ERROR_DOMAIN,
  fromServiceError,
  fromStatus,
  STATUS_DETAILS_KEY,
  toServiceError,
  toStatus,
} from './status.js';
export {
  Code,
  type FieldViolation,
  hasReason,
  type Reason,
  reasonName,
  reasonNumber,
  WrennError,
  type WrennErrorOptions,
} from './wrenn-error.js';
