/** The test page: everything that the API does, by hand, over plain HTTP/JSON and its WebSocket. */
import '@xterm/xterm/css/xterm.css';
import './style.css';
import { accountView } from './account-view.js';
import { createView } from './create-view.js';
import { keysView } from './keys-view.js';
import { listView } from './list-view.js';
import { sandboxPlace } from './sandbox-view.js';
import { snapshotsView } from './snapshots-view.js';
import { allowTerminalStyles } from './terminal-styles.js';

allowTerminalStyles();
document
  .getElementById('main')
  ?.replaceChildren(
    accountView(),
    keysView(),
    createView(),
    listView(),
    sandboxPlace(),
    snapshotsView(),
  );
