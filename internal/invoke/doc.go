// Package invoke turns an action and its arguments into exactly the HTTP
// request that the document describes, sends it to the plugin within limits,
// and maps the answer to a [Result] or an [Error].
package invoke
