/** Removes secrets from what is about to be logged. */

const SECRET_KEYS =
  /^(authorization|cookie|set[-_]cookie|password|secret|.*_secret|.*[-_]?token|.*api[-_]?key|key|env|stdin|stdout|stderr|content|database_url)$/i;
const SECRET_VALUES: [RegExp, string][] = [
  [/\bwrn_[a-z]+_[A-Za-z0-9]+\b/g, 'wrn_[redacted]'],
  [/\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*/g, '[redacted jwt]'],
  [/(postgres(?:ql)?:\/\/[^:@/\s]*:)[^@\s]*@/g, '$1[redacted]@'],
];
const DEPTH_MAX = 8;

/** A copy of a value in which secrets are replaced by `[redacted]`. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return value.toString();
  if (value === null || typeof value !== 'object') return value;
  if (depth >= DEPTH_MAX) return '[too deep]';
  if (value instanceof Error) return redactError(value, depth);
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      SECRET_KEYS.test(key) && item !== undefined ? '[redacted]' : redact(item, depth + 1),
    ]),
  );
}

/** A text in which keys, tokens and passwords are replaced. */
export function redactText(text: string): string {
  return SECRET_VALUES.reduce(
    (result, [pattern, replacement]) => result.replace(pattern, replacement),
    text,
  );
}

function redactError(error: Error, depth: number): unknown {
  const { code, reason, metadata, errors } = error as Error &
    Record<'code' | 'reason' | 'metadata' | 'errors', unknown>;
  return {
    name: error.name,
    message: redactText(error.message),
    ...(code === undefined ? {} : { code }),
    ...(reason === undefined ? {} : { reason }),
    ...(metadata === undefined || typeof reason !== 'string'
      ? {}
      : { metadata: redact(metadata, depth + 1) }),
    ...(Array.isArray(errors) ? { errors: redact(errors, depth + 1) } : {}),
    stack: error.stack ? redactText(error.stack) : undefined,
    ...(error.cause === undefined ? {} : { cause: redact(error.cause, depth + 1) }),
  };
}
