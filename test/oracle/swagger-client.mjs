// Builds requests with swagger-client. Each line of standard input is a call
// as JSON: {spec, parameters, requestBody, requestContentType}; each line of
// standard output is the request: {method, url, headers, body} or {error}.
import { createInterface } from "node:readline";

import SwaggerClient from "swagger-client";

console.warn = () => {}; // it warns of parameters that share a name; ours are told apart

async function build(call) {
  const request = SwaggerClient.buildRequest({ ...call, operationId: "operation", baseURL: "http://plugin.test/base" });
  let { body } = request;
  if (body instanceof FormData) {
    const multipart = new Response(body);
    request.headers["Content-Type"] = multipart.headers.get("content-type");
    body = await multipart.text();
  } else if (body !== undefined && typeof body !== "string") {
    body = JSON.stringify(body); // as its execute() does
  }
  return { method: request.method, url: request.url, headers: request.headers, body };
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
