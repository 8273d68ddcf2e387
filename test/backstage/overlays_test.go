package backstage_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stagedoor/stagedoor/gateway"
)

// overlays is a gateway of what our overlays make of the documents that
// Backstage serves, as a service and as the guest.
func overlays(t *testing.T) *gateway.Gateway {
	t.Helper()
	_, token := backstage(t)
	service, guest := gateway.SecretValue(token), gateway.SecretValue(guestToken(t))
	return newGateway(t, map[string]gateway.Plugin{
		"search":              withOverlay(t, "search", service),
		"scaffolder":          withOverlay(t, "scaffolder", guest),
		"notifications":       withOverlay(t, "notifications", guest),
		"notifications-teams": withOverlay(t, "notifications", service),
	})
}

// waitForIndex waits until search knows as many entities as the catalog has,
// and that has all: both work in the background.
func waitForIndex(t *testing.T) {
	t.Helper()
	catalogs(t, "http://127.0.0.1:9/")
	count := func(path, member string) float64 {
		answer, _ := decode(t, askBackstage(t, http.MethodGet, path, "")).(map[string]any)
		n, _ := answer[member].(float64)
		return n
	}
	eventually(t, "all", func() string {
		found, there := count("/api/search/query?term=&types=software-catalog", "numberOfResults"), count("/api/catalog/entities/by-query?limit=0", "totalItems")
		if found == there {
			return "all"
		}
		return fmt.Sprintf("%v of %v", found, there)
	})
}

func TestSearch(t *testing.T) {
	waitForIndex(t)
	c := newClient(t, overlays(t), "search")
	for _, check := range []struct{ arguments, look, want string }{
		{`{"term":"checkout"}`, `[.results[].document.title] | contains(["Checkout"])`, `true`},
		{`{"term":"checkout","kind":["API"]}`, `[.results[] | .document.kind, .document.location] | contains(["/catalog/default/api/checkout"])`, `true`},
		{`{"term":"","kind":["Component"],"owner":["payments"],"lifecycle":["production"],"namespace":["default"],"filters":{"componentType":"service"}}`,
			`[.totalItems > 0, ([.results[].document | .kind + .owner + .componentType] | unique)]`, `[true,["Componentpaymentsservice"]]`},
		{`{"kind":["Component","Domain"],"pageLimit":100}`, `[.hasMoreResults, ([.results[].document.kind] | unique)]`, `[false,["Component","Domain"]]`},
		{`{"filters":{"namespace":"depot"},"kind":["Component"],"types":["software-catalog"]}`, `[.results[].document.location]`, `["/catalog/depot/component/lantern"]`},
		{`{"filters":{"kind":"Component"},"kind":["Domain"]}`, `[.results[].document.kind] | unique`, `["Domain"]`},
		{`{"filters":{"nothing":1}}`, `.`, `{"hasMoreResults":false,"results":[],"totalItems":0}`},
		{`{"term":"checkout","types":["recipes"]}`, `.fault | contains("HTTP 400") and contains("types")`, `true`},
		{`{"term":"a","pageLimit":101}`, `.fault | test("pageLimit")`, `true`},
		{`{"term":"x & y=z#?%2F"}`, `.results | type`, `"array"`},
	} {
		c.check("query", check.arguments, check.look, check.want)
	}
	cursor := c.text("query", `{"kind":["Component"],"pageLimit":2}`, `select(.results | length == 2) | .nextPageCursor`)
	c.check("query", fmt.Sprintf(`{"kind":["Component"],"pageLimit":2,"pageCursor":%q}`, cursor), `[.results[].rank]`, `[3,4]`)
	c.allCalled()
}

func TestScaffolder(t *testing.T) {
	c := newClient(t, overlays(t), "scaffolder")
	eventually(t, "Keep a note", func() string { return c.text("get-template-parameters", `{"templateRef":"keep-a-note"}`, `.title`) })
	for _, check := range []struct{ tool, arguments, look, want string }{
		{"list-scaffolder-actions", `{}`, `.actions[] | select(.id == "debug:log") | .description | length > 10`, `true`},
		{"describe-scaffolder-action", `{"id":"fetch:template"}`, `[.schema.input.properties.url.type, (.examples[0].example | contains("fetch:template"))]`, `["string",true]`},
		{"describe-scaffolder-action", `{"id":"nothing"}`, `.fault | contains("No action is called \"nothing\"")`, `true`},
		{"list-templating-extensions", `{}`, `.filters[] | select(.name == "parseRepoUrl") | [(.description | length > 10), (.example | contains("parseRepoUrl"))]`, `[true,true]`},
		{"get-template-parameters", `{"templateRef":"template:default/keep-a-note"}`, `[.description, (.steps[] | .title), .steps[0].schema.properties.note.minLength]`,
			`["Writes a note to the log of its task.","The note","How it goes",3]`},
		{"get-template-parameters", `{"templateRef":"depot/keep-a-note"}`, `.fault | contains("404")`, `true`},
		{"get-template-parameters", `{"templateRef":"component:default/keep-a-note"}`, `.fault | contains("templateRef")`, `true`},
		{"execute-template", `{"templateRef":"keep-a-note","values":{"note":"x","copies":9}}`, `.fault | contains("400") and contains("minimum length of 3")`, `true`},
		{"execute-template", `{"templateRef":"nothing","values":{}}`, `.fault | contains("404")`, `true`},
		{"execute-template", `{"templateRef":"keep-a-note","values":{"note":"oil"},"secrets":{"a":"b"}}`, `.fault | contains("secrets")`, `true`},
		{"get-scaffolder-task", `{"taskId":"nothing"}`, `.fault | contains("404")`, `true`},
		{"get-scaffolder-task-logs", `{"taskId":"nothing"}`, `.fault | contains("404")`, `true`},
		{"list-scaffolder-tasks", `{"createdBy":["user:default/nobody"]}`, `.`, `{"tasks":[],"totalTasks":0}`},
	} {
		c.check(check.tool, check.arguments, check.look, check.want)
	}

	task := c.execute(`{"templateRef":"template:default/keep-a-note","values":{"note":"buy oil"}}`)
	c.check("get-scaffolder-task-logs", task, `[.finished, .output.links[0].url, .error, any(.events[]; .message == "info: Note: buy oil" and .stepId == "log"), any(.events[]; .message | contains("\u001b"))]`,
		`[true,"https://notes.example.com/buy oil",null,true,false]`)
	c.check("get-scaffolder-task", task, `[.status, .templateRef, .createdBy, .parameters.note, .steps[0].action]`,
		`["completed","template:default/keep-a-note","user:default/guest","buy oil","debug:log"]`)
	c.check("list-scaffolder-tasks", `{"createdBy":["user:default/guest"],"status":["completed","failed"],"limit":1}`, `[.tasks[0].templateRef, (.totalTasks > 0)]`, `["template:default/keep-a-note",true]`)

	failed := c.execute(`{"templateRef":"keep-a-note","values":{"note":"buy oil","fail":true}}`)
	c.check("get-scaffolder-task-logs", failed, `[.output, (.error | contains("no such file"))]`, `[null,true]`)
	c.check("retry-scaffolder-task", failed, `keys`, `["taskId"]`)
	eventually(t, "true", func() string {
		return c.text("get-scaffolder-task-logs", failed, `.finished and any(.events[]; .type == "recovered")`)
	})

	slow := c.start(`{"templateRef":"keep-a-note","values":{"note":"buy oil","seconds":60}}`)
	eventually(t, "true", func() string {
		return c.text("get-scaffolder-task-logs", slow, `any(.events[]; .message == "Beginning step Wait")`)
	})
	c.check("list-scaffolder-tasks", `{"status":["processing"]}`, `.totalTasks >= 1`, `true`)
	c.check("cancel-scaffolder-task", slow, `keys`, `["taskId"]`)
	c.finished(slow)
	c.check("get-scaffolder-task-logs", slow, `[(.error | contains("cancelled")), any(.events[]; .type == "cancelled"), any(.events[]; .message | contains("    at "))]`, `[true,true,false]`)
	c.dryRuns()
	c.allCalled()
}

// start executes a template and gives {"taskId": …}.
func (c *client) start(arguments string) string {
	c.t.Helper()
	return fmt.Sprintf(`{"taskId":%q}`, c.text("execute-template", arguments, `.taskId`))
}

func (c *client) execute(arguments string) string {
	c.t.Helper()
	task := c.start(arguments)
	c.finished(task)
	return task
}

func (c *client) finished(task string) {
	c.t.Helper()
	eventually(c.t, "true", func() string { return c.text("get-scaffolder-task-logs", task, `.finished`) })
}

// dryRuns tries templates: a good one, and each way in which one can be bad.
func (c *client) dryRuns() {
	c.t.Helper()
	template := func(steps string) string {
		return `apiVersion: scaffolder.backstage.io/v1beta3\nkind: Template\nmetadata: {name: a}\nspec:\n  type: service\n` +
			`  parameters: {required: [name], properties: {name: {type: string}, port: {type: integer}}}\n  steps: ` + strings.ReplaceAll(steps, `"`, `\"`) +
			`\n  output: {text: [{title: Name, content: '${{ parameters.name }}'}]}\n`
	}
	const skeleton = `"files":[{"path":"skeleton/README.md","content":"# ${{ values.name }} läuft\n"}]`
	for _, check := range []struct{ template, more, look, want string }{
		{template(`[{id: f, action: "fetch:template", input: {url: ./skeleton, values: {name: "${{ parameters.name }}"}}}]`), `"values":{"name":"lantern"},` + skeleton,
			`[.valid, .errors, .files, .output.text[0].content, .steps[0], (.log | length > 3), any(.log[]; .message | contains("\u001b"))]`,
			`[true,[],[{"content":"# lantern läuft\n","path":"README.md"}],"lantern",{"action":"fetch:template","id":"f","name":"fetch:template"},true,false]`},
		{template(`[]`), `"values":{"port":"x"}`, `[.valid, (.errors | sort)]`, `[false,["values requires property \"name\"","values.port is not of a type(s) integer"]]`},
		{template(`[{action: "nothing:here"}]`), `"values":{"name":"a"}`, `[.valid, (.errors[0] | contains("'nothing:here' is not registered"))]`, `[false,true]`},
		{template(`[{action: "fetch:template", input: {}}]`), `"values":{"name":"a"}`, `[.valid, (.errors[0] | contains("requires property \"url\""))]`, `[false,true]`},
		{template(`[{name: a}]`), `"values":{}`, `.fault | contains("a step without action")`, `true`},
		{`a: [b`, `"values":{}`, `.fault | contains("templateYaml: 1:1: YAML")`, `true`},
		{`kind: Component`, `"values":{}`, `.fault | contains("kind Template")`, `true`},
	} {
		c.check("dry-run-template", `{"templateYaml":"`+check.template+`",`+check.more+`}`, check.look, check.want)
	}
}

func TestNotifications(t *testing.T) {
	g := overlays(t)
	service, guest := newClient(t, g, "notifications-teams"), newClient(t, g, "notifications")
	service.check("send-notification", `{"recipients":["group:depot/night-shift","user:default/guest"],"exclude":["user:default/nobody"],"title":"The oil is low","description":"Two days are left.","severity":"high","topic":"oil","link":"/catalog","scope":"oil-level"}`,
		`[.notifications[].user]`, `["user:default/guest"]`)
	id := guest.text("get-notifications", `{"topic":"oil","minimumSeverity":"high","search":"oil is","createdAfter":"2020-01-01T00:00:00Z"}`, `.notifications[0].id`)
	guest.check("get-notification-by-id", fmt.Sprintf(`{"id":%q}`, id), `[.user, .origin, .payload, has("read"), (.created | test("^20.*Z$"))]`,
		`["user:default/guest","stagedoor",{"description":"Two days are left.","link":"/catalog","scope":"oil-level","severity":"high","title":"The oil is low","topic":"oil"},false,true]`)
	guest.check("get-notification-status", `{}`, `.unread >= 1`, `true`)
	guest.check("list-notification-topics", `{"search":"oil is","minimumSeverity":"high","createdAfter":"2020-01-01"}`, `.topics | contains(["oil"])`, `true`)

	guest.check("mark-notifications", fmt.Sprintf(`{"ids":[%q],"read":true,"saved":true}`, id), `.notifications[0] | [.id == "`+id+`", .title, .isRead, .isSaved]`, `[true,"The oil is low",true,true]`)
	for view, there := range map[string]string{"unread": "false", "read": "true", "saved": "true", "all": "true"} {
		guest.check("get-notifications", fmt.Sprintf(`{"view":%q,"limit":100}`, view), `any(.notifications[]; .id == "`+id+`")`, there)
	}
	guest.check("get-notifications", `{"view":"saved"}`, `.notifications[0].read | test("^20[0-9]{2}-.*Z$")`, `true`)
	guest.check("mark-notifications", fmt.Sprintf(`{"ids":[%q],"read":false,"saved":false}`, id), `.notifications[0] | [.isRead, .isSaved]`, `[false,false]`)

	service.check("broadcast-notification", `{"title":"Doors open at eight","severity":"low","topic":"house"}`, `.notifications | [length, .[0].user]`, `[1,null]`)
	guest.check("get-notifications", `{"topic":"house","limit":1}`, `.notifications[0].payload.title`, `"Doors open at eight"`)

	service.check("send-notification", `{"recipients":["group:default/nothing"],"title":"Nobody"}`, `.`, `{"notifications":[]}`)
	service.check("send-notification", `{"recipients":["payments"],"title":"A"}`, `.fault | contains("recipients")`, `true`)
	service.check("send-notification", `{"recipients":["user:default/guest"],"title":"A","link":"ftp://x"}`, `.fault | contains("link")`, `true`)
	service.check("get-notifications", `{}`, `.fault | contains("403")`, `true`)
	guest.check("broadcast-notification", `{"title":"A guest cannot"}`, `.fault | contains("403")`, `true`)
	guest.check("get-notification-by-id", `{"id":"nothing"}`, `.fault | contains("404")`, `true`)
	for tool := range service.called {
		guest.called[tool] = true // they are two clients of one document
	}
	guest.allCalled()
}
