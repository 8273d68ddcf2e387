// Builds requests with swagger-client. Each line of standard input is a call
// as JSON: {spec, parameters, requestBody, requestContentType}; each line of
// standard output is the request: {method, url, headers, body}, the body in
// base64, or {error}.
import { createInterface } from "node:readline";

import SwaggerClient from "swagger-client";

console.warn = () => {}; // it warns of parameters that share a name; ours are told apart

// revive makes files of {"$file": {data, name, type}}, data being base64.
function revive(value) {
  if (Array.isArray(value)) return value.map(revive);
  if (value === null || typeof value !== "object") return value;
  if (value.$file) return new File([Buffer.from(value.$file.data, "base64")], value.$file.name, { type: value.$file.type });
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, revive(member)]));
}

async function build(call) {
  const requestBody = revive(call.requestBody);
  const { method, url, body, ...request } = SwaggerClient.buildRequest({
    ...call, requestBody, parameters: revive(call.parameters), operationId: "operation", baseURL: "http://plugin.test/base",
  });
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)])); // as fetch() does
  if (body === undefined) return { method, url, headers };
  const plain = typeof body === "string" || body instanceof Blob || body instanceof FormData;
  const sent = new Response(plain ? body : JSON.stringify(body)); // as its execute() does
  if (body instanceof FormData) headers["Content-Type"] = sent.headers.get("content-type");
  return { method, url, headers, body: Buffer.from(await sent.arrayBuffer()).toString("base64") };
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = await build(JSON.parse(line));
  } catch (error) {
    answer = { error: String(error.message ?? error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
