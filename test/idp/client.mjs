// An official TypeScript client over stdio: "old" is the package sdk, "new" the
// package client in the era of 2026-07-28. The rest of the command line is the
// server that it starts. It lists the tools, and then calls those that lines of
// standard input name ({"name", "arguments"}); each answer is a line, too.
import { createInterface } from 'node:readline'

import { Client as NewClient } from '@modelcontextprotocol/client'
import { StdioClientTransport as NewStdio } from '@modelcontextprotocol/client/stdio'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'

const [kind, command, ...args] = process.argv.slice(2)
const info = { name: 'stagedoor-test', version: '1.0.0' }
const server = { command, args, env: process.env, stderr: 'inherit' }
const client = kind === 'old' ? new Client(info) : new NewClient(info, { versionNegotiation: { mode: 'auto' } })

const say = (answer) => console.log(JSON.stringify(answer))
const told = (promise) => promise.then((result) => say({ result }), (error) => say({ error: { code: error.code, message: error.message } }))

await client.connect(kind === 'old' ? new StdioClientTransport(server) : new NewStdio(server))
await told(client.listTools())
for await (const line of createInterface({ input: process.stdin })) {
  await told(client.callTool(JSON.parse(line)))
}
await client.close()
