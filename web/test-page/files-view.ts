/** Files of a sandbox: browse, upload, download, make folders, move, remove. */
import { attempt, button, form } from './actions.js';
import { call, listAll, sandboxPath } from './api.js';
import { element, field, input, row } from './dom.js';
import { fileTable } from './file-table.js';
import { size } from './format.js';
import { showDone } from './notices.js';
import { download, save, upload } from './transfer.js';
import type { FileInfo } from './types.js';

export interface FilesView {
  root: HTMLElement;
  refresh(): Promise<void>;
}

export function filesView(sandboxId: string): FilesView {
  const folder = input('text', { value: '/root', required: true });
  const list = element('div');
  const progress = element('p', { role: 'status', class: 'status' });
  const bar = element('progress', { max: 1, value: 0, 'aria-label': 'Progress', hidden: true });
  const path = (rest: string) => sandboxPath(sandboxId, `/files${rest}`);
  const inFolder = (name: string) => `${folder.value.replace(/\/+$/, '')}/${name}`;
  const post = async (rest: string, body: object) => {
    await call('POST', path(rest), { body });
    await refresh();
  };
  const tell = (text: string, fraction?: number) => {
    progress.textContent = text;
    bar.hidden = fraction === undefined;
    bar.value = fraction ?? 0;
  };
  const refresh = async () => {
    const query = { path: folder.value };
    const entries = await listAll<FileInfo>(path(''), 'entries', { query });
    list.replaceChildren(fileTable(entries, { open, fetchFile, move, remove }));
  };
  const open = async (to: string) => {
    folder.value = to;
    await refresh();
  };
  const fetchFile = async ({ path: from, name, size_bytes }: FileInfo) => {
    const content = await download(sandboxId, from, (doneBytes) =>
      tell(`${size(doneBytes)} of ${name}`, size_bytes ? doneBytes / size_bytes : 1),
    ).finally(() => tell(''));
    save(content, name);
    tell(`Downloaded ${name}, ${size(content.size)}.`);
  };
  const move = (source: string, destination: string) => post('/move', { source, destination });
  const remove = (target: string) => post('/remove', { path: target });
  const send = async (file: File) => {
    await upload(sandboxId, inFolder(file.name), file, (doneBytes, totalBytes) =>
      tell(`${size(doneBytes)} of ${file.name}`, totalBytes ? doneBytes / totalBytes : 1),
    ).finally(() => tell(''));
    tell(`Uploaded ${file.name}, ${size(file.size)}.`);
    await refresh();
  };
  const up = () => open(folder.value.replace(/\/+$/, '').replace(/\/[^/]*$/, '') || '/');
  const root = element(
    'div',
    {},
    form('Folder', 'Show folder', refresh, field('Folder', folder)),
    row(button('Up', up)),
    uploadForm(send),
    newFolderForm(async (name) => {
      await post('/mkdir', { path: inFolder(name) });
      showDone(`Made ${inFolder(name)}.`);
    }),
    progress,
    bar,
    list,
  );
  return { root, refresh: () => attempt(refresh) };
}

function uploadForm(send: (file: File) => Promise<void>): HTMLElement {
  const files = input('file', { multiple: true, required: true });
  const sendAll = async () => {
    for (const file of files.files ?? []) await send(file);
    files.value = '';
  };
  return form('Upload', 'Upload', sendAll, field('Files to upload', files));
}

function newFolderForm(make: (name: string) => Promise<void>): HTMLElement {
  const name = input('text', { required: true });
  return form(
    'New folder',
    'Make folder',
    () => make(name.value),
    field('Name of the folder', name),
  );
}
