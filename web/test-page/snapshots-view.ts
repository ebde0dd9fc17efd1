/** Snapshots: list, start from, delete. They are made in the view of a sandbox. */
import { attempt, button } from './actions.js';
import { call, listAll } from './api.js';
import { card, element, row, table } from './dom.js';
import { enumName, size, time } from './format.js';
import { showDone } from './notices.js';
import { snapshotsChanged, templateToStart } from './selection.js';
import { current, follow } from './session.js';
import type { Snapshot } from './types.js';

export function snapshotsView(): HTMLElement {
  const list = element('div');
  const refresh = async () => {
    list.replaceChildren(snapshotTable(await listAll('/v1/snapshots', 'snapshots')));
  };
  const view = card('Snapshots', row(button('Refresh snapshots', refresh)), list);
  const refreshShown = () => {
    if (!view.hidden) void attempt(refresh);
  };
  snapshotsChanged.listen(refreshShown);
  follow(() => {
    view.hidden = current().apiKey === '';
    list.replaceChildren();
    refreshShown();
  });
  return view;
}

function snapshotTable(snapshots: Snapshot[]): HTMLElement {
  const remove = async ({ snapshot_id, name }: Snapshot) => {
    await call('DELETE', `/v1/snapshots/${encodeURIComponent(snapshot_id)}`);
    showDone(`Snapshot ${name} is deleted.`);
    snapshotsChanged.tell();
  };
  const rows = snapshots.map((snapshot) => [
    snapshot.name,
    enumName(snapshot.type, 'SNAPSHOT_TYPE_'),
    snapshot.vcpus ? `${snapshot.vcpus} × ${snapshot.memory_mb} MiB` : 'any',
    size(snapshot.size_bytes),
    time(snapshot.created_at),
    row(
      button('Start from', () => templateToStart.tell(snapshot.name), {
        'aria-label': `Start from ${snapshot.name}`,
      }),
      ...(snapshot.type === 'SNAPSHOT_TYPE_SNAPSHOT'
        ? [
            button('Delete', () => remove(snapshot), {
              'aria-label': `Delete snapshot ${snapshot.name}`,
            }),
          ]
        : []),
    ),
  ]);
  return table('Snapshots', ['Name', 'Type', 'Shape', 'Size', 'Created', ''], rows);
}
