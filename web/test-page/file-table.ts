/** The entries of a folder and what can be done with each. */
import { button, form } from './actions.js';
import { type Child, element, field, input, row, table } from './dom.js';
import { enumName, size, time } from './format.js';
import type { FileInfo } from './types.js';

export interface FileActions {
  open(path: string): Promise<void>;
  fetchFile(file: FileInfo): Promise<void>;
  move(source: string, destination: string): Promise<void>;
  remove(path: string): Promise<void>;
}

const COLUMNS = ['Name', 'Type', 'Size', 'Permissions', 'Owner', 'Changed', ''];

export function fileTable(entries: FileInfo[], actions: FileActions): HTMLElement {
  const rows = entries.map((file) => [
    nameOf(file, actions),
    enumName(file.type, 'FILE_TYPE_'),
    size(file.size_bytes),
    element('code', {}, file.permissions),
    `${file.owner}:${file.group}`,
    time(file.modified_at),
    buttonsOf(file, actions),
  ]);
  return table('Files', COLUMNS, rows);
}

function nameOf(file: FileInfo, { open }: FileActions): Child {
  if (file.type === 'FILE_TYPE_DIRECTORY') {
    return button(`${file.name}/`, () => open(file.path), { class: 'link' });
  }
  return file.symlink_target ? `${file.name} → ${file.symlink_target}` : file.name;
}

function buttonsOf(file: FileInfo, { fetchFile, move, remove }: FileActions): HTMLElement {
  const { name, path, type } = file;
  const destination = input('text', { value: path, required: true });
  const mover = form(
    `Move ${name}`,
    'Move',
    () => move(path, destination.value),
    field('New path', destination),
  );
  mover.hidden = true;
  const toggle = () => {
    mover.hidden = !mover.hidden;
    if (!mover.hidden) destination.focus();
  };
  return row(
    ...(type === 'FILE_TYPE_FILE'
      ? [button('Download', () => fetchFile(file), { 'aria-label': `Download ${name}` })]
      : []),
    button('Move…', toggle, { 'aria-label': `Move ${name}…` }),
    button('Remove', () => remove(path), { 'aria-label': `Remove ${name}` }),
    mover,
  );
}
