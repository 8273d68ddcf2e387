// MCP's official TypeScript client, for the tests: it connects to the server
// at the URL (with $MCP_TOKEN, if there is one), prints the tools as one line of JSON, and then for each line
// {"name", "arguments"} calls that tool and prints the result, or {"refused"}.
import { createInterface } from 'node:readline';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const print = value => console.log(JSON.stringify(value));

const { MCP_TOKEN: token } = process.env;
const headers = token ? { Authorization: `Bearer ${token}` } : {};
const client = new Client({ name: 'interop', version: '1' });
await client.connect(new StreamableHTTPClientTransport(new URL(process.argv[2]), { requestInit: { headers } }));
const tools = [];
let cursor;
do {
  const page = await client.listTools({ cursor });
  tools.push(...page.tools);
  cursor = page.nextCursor;
} while (cursor);
print({ tools });
for await (const line of createInterface({ input: process.stdin })) {
  print(await client.callTool(JSON.parse(line)).catch(error => ({ refused: error.message })));
}
await client.close();
