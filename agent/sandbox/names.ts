/**
 * The allow-lists for names that become paths, kernel arguments or resource
 * names. The contract states them too; the agent does not rely on that.
 */
import { Code, WrennError } from '../../lib/errors/index.js';

const ID = /^[a-z0-9]{8,64}$/;
const TEMPLATE_NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

export function checkSandboxId(sandboxId: string): void {
  checkId('sandbox_id', sandboxId);
}

/** Checks an id of the control plane's making. */
export function checkId(field: string, id: string): void {
  if (!ID.test(id)) throw invalid(field, ID);
}

export function checkTemplateName(template: string): void {
  if (!TEMPLATE_NAME.test(template)) throw invalid('template', TEMPLATE_NAME);
}

export function checkEnv(env: Record<string, string>): void {
  for (const [name, value] of Object.entries(env)) {
    if (!ENV_NAME.test(name) || value.includes('\0')) throw invalid('env', ENV_NAME);
  }
}

function invalid(field: string, pattern: RegExp): WrennError {
  const description = `must match ${pattern.source}`;
  return new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', `${field} ${description}`, {
    violations: [{ field, description, rule: 'string.pattern' }],
  });
}
