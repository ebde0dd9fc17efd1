/** Moves whole files of any size between the browser and a sandbox, telling how far it is. */
import { credentialHeaders, parseError, request, sandboxPath } from './api.js';

/** Bytes that are gathered before they are handed to the browser's own store. */
const PIECE_BYTES = 16 * 1024 * 1024;

export type OnProgress = (doneBytes: number, totalBytes: number) => void;

/**
 * Uploads as multipart/form-data; the browser reads the file as it sends it.
 * @throws ApiError, or Error when the connection broke.
 */
export function upload(
  sandboxId: string,
  path: string,
  file: Blob,
  onProgress: OnProgress,
): Promise<void> {
  // fetch tells nothing of what it has sent.
  const http = new XMLHttpRequest();
  http.open('POST', sandboxPath(sandboxId, '/files/write'));
  for (const [name, value] of Object.entries(credentialHeaders('team'))) {
    http.setRequestHeader(name, value);
  }
  const body = new FormData();
  body.append('path', path);
  body.append('file', file);
  return new Promise((resolve, reject) => {
    http.upload.addEventListener('progress', ({ loaded, total }) => onProgress(loaded, total));
    http.addEventListener('error', () => reject(new Error('The connection broke.')));
    http.addEventListener('load', () => {
      if (http.status === 200) resolve();
      else
        reject(parseError(http.responseText, http.status, http.getResponseHeader('x-request-id')));
    });
    http.send(body);
  });
}

/**
 * Downloads as a stream; pieces go to the browser's store, which keeps large ones on disk.
 * @throws ApiError, or TypeError when the connection broke before the end.
 */
export async function download(
  sandboxId: string,
  path: string,
  onProgress: (doneBytes: number) => void,
): Promise<Blob> {
  const response = await request('GET', sandboxPath(sandboxId, '/files/content'), {
    query: { path },
  });
  const pieces: Blob[] = [];
  let gathered: Uint8Array<ArrayBuffer>[] = [];
  let gatheredBytes = 0;
  let doneBytes = 0;
  const store = () => {
    pieces.push(new Blob(gathered));
    gathered = [];
    gatheredBytes = 0;
  };
  const reader = response.body?.getReader();
  for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) {
    gathered.push(next.value);
    gatheredBytes += next.value.length;
    doneBytes += next.value.length;
    if (gatheredBytes >= PIECE_BYTES) store();
    onProgress(doneBytes);
  }
  store();
  return new Blob(pieces, { type: 'application/octet-stream' });
}

/** Lets the browser save it, under a name that holds no folder. */
export function save(content: Blob, name: string): void {
  const address = URL.createObjectURL(content);
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}
