import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { DEFAULT_WEB_SOCKET_LIMITS as limits } from './limits.js';

const DOCUMENT = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');

describe('the limits of WebSockets', () => {
  it('are documented as they are', () => {
    const stated = [
      `| WebSockets at once | ${limits.webSocketsMax} |`,
      `| text message | ${limits.webSocketMessageBytesMax} bytes |`,
      `| text message after the first | ${limits.webSocketLaterMessageBytesMax} bytes |`,
      `| answers that wait for the client | ${limits.webSocketBufferedBytesMax} bytes |`,
      `| time for the service to open the stream | ${limits.webSocketHandshakeTimeoutMs / 1000} s |`,
      `| time for the first message | ${limits.webSocketFirstMessageTimeoutMs / 1000} s |`,
      `| time between pings | ${limits.webSocketPingIntervalMs / 1000} s |`,
      `| time to answer a ping | ${limits.webSocketPongTimeoutMs / 1000} s |`,
      `| time to answer a close frame | ${limits.webSocketCloseTimeoutMs / 1000} s |`,
    ];
    for (const statement of stated) expect(DOCUMENT).to.contain(statement);
  });
});
