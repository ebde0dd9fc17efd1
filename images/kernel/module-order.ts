/** Which kernel modules to load, and in which order: reads modules.dep and modules.builtin. */
import { requirement } from '../failure.js';

export interface ModuleIndex {
  /** Path of each module → paths of the modules that it needs, all of them. */
  dependencies: ReadonlyMap<string, readonly string[]>;
  /** Names of what the kernel has built in. */
  builtIn: ReadonlySet<string>;
}

/** Reads the text of modules.dep and of modules.builtin. */
export function parseModuleIndex(dependencyText: string, builtInText: string): ModuleIndex {
  const dependencies = new Map<string, string[]>();
  for (const line of dependencyText.split('\n')) {
    const [path, needed] = line.split(':');
    if (path && needed !== undefined) dependencies.set(path, needed.split(' ').filter(Boolean));
  }
  const builtIn = new Set(builtInText.split('\n').filter(Boolean).map(moduleName));
  return { dependencies, builtIn };
}

/**
 * Paths of the named modules and of everything that they need, each once and after what it needs.
 * @throws WrennError HOST_REQUIREMENT when the kernel has no such module, or they need each other.
 */
export function loadOrder(names: readonly string[], index: ModuleIndex): string[] {
  const pathOf = new Map([...index.dependencies.keys()].map((path) => [moduleName(path), path]));
  const order = new Set<string>();
  const open = new Set<string>();
  const visit = (path: string) => {
    if (order.has(path)) return;
    if (open.has(path)) throw requirement(`the kernel module ${path} needs itself`);
    open.add(path);
    for (const needed of index.dependencies.get(path) ?? []) visit(needed);
    order.add(path);
  };
  for (const name of names.map(moduleName)) {
    if (index.builtIn.has(name)) continue;
    const path = pathOf.get(name);
    if (!path) throw requirement(`the kernel has no module ${name}`);
    visit(path);
  }
  return [...order];
}

/** The name that the kernel knows a module by; its file may have dashes where this has underscores. */
export function moduleName(path: string): string {
  const file = path.slice(path.lastIndexOf('/') + 1);
  return file.replace(/\.ko(\.\w+)?$/, '').replaceAll('-', '_');
}
