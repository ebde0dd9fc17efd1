/** What the document says before its operations: the rules that hold for all of them. */
import {
  DEFAULT_LIMITS,
  HEADER_BYTES_MAX,
  HEADER_PAIRS_MAX,
  JSON_DEPTH_MAX,
  MESSAGE_BYTES_MAX,
} from '../gateway/limits.js';

const { jsonBodyBytesMax, jsonBodyWithBytesMax, formBodyBytesMax, requestsMax, streamsMax } =
  DEFAULT_LIMITS;

export const API_DESCRIPTION = `\
Every operation is a method of the gRPC API, by \`google.api.http\`; the same
holds over both protocols.

**Fields** have the names of the protos in answers; in requests camel case is
taken, too. Unknown fields, and those that stand twice, are refused. Bytes are
base64. In answers fields that hold nothing are there with their zero value;
those of messages and of choices are left out.

**Errors** are google.rpc.Status. Decide by \`reason\` of google.rpc.ErrorInfo,
not by the message; see the schema \`Reason\`. What belongs to another team is
answered as if it were not there.

**Lists** have pages: \`next_page_token\` of one is \`page_token\` of the next, and
it is empty on the last.

**Headers**: \`x-request-id\` names a call in the logs. \`x-wrenn-timeout-ms\` bounds
how long it may take. HEAD is answered as GET, but by streams; OPTIONS lists the
methods of a path.

**Limits**: ${jsonBodyBytesMax} bytes of JSON, ${jsonBodyWithBytesMax} where a field holds bytes;
${formBodyBytesMax} bytes of a form, where it is not streamed; ${MESSAGE_BYTES_MAX} bytes of an
encoded message; ${JSON_DEPTH_MAX} levels of JSON; ${HEADER_PAIRS_MAX} header fields of ${HEADER_BYTES_MAX} bytes
together with the request line; ${requestsMax} requests and ${streamsMax} streams at once.`;
